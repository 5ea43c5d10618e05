import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { synthesize } from '../stacks/environment.ts'
import { patienceMs, walletBlueprint, walletEstate, walletLandingZone } from '../test-fixtures/wallet-estate.ts'
import { ejectedProject } from './ejected-project.ts'

/**
 * Goal: what was ejected needs nothing of ours. Method: it is written to a folder elsewhere that holds the packages which
 * its own manifest names, and runs there by itself, without network; its templates are held against ours.
 */
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'eject-')))
afterAll(() => rmSync(folder, { recursive: true }))

const files = ejectedProject({
  estate: 'wallet',
  landingZone: walletLandingZone,
  environment: 'production',
  phase: 'replatform',
})
for (const { name, text } of files) {
  mkdirSync(dirname(join(folder, name)), { recursive: true })
  writeFileSync(join(folder, name), text)
}

/** As `npm install` would: each dependency that a manifest of the project names, and the constructs as a workspace. */
const installed = resolve(import.meta.dirname, '../../../../node_modules')
const manifests = ['package.json', 'constructs/package.json'].map(
  (name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as { dependencies: Record<string, string> },
)
mkdirSync(join(folder, 'node_modules'))
symlinkSync(join(folder, 'constructs'), join(folder, 'node_modules/landing-zone-constructs'))
for (const name of new Set(manifests.flatMap(({ dependencies }) => Object.keys(dependencies)))) {
  if (name !== 'landing-zone-constructs') symlinkSync(join(installed, name), join(folder, 'node_modules', name))
}

const run = (...context: readonly (readonly [string, string])[]) =>
  promisify(execFile)(process.execPath, ['--no-warnings', 'bin/landing-zone.ts'], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      CDK_OUTDIR: join(folder, 'cdk.out'),
      CDK_CONTEXT_JSON: JSON.stringify(Object.fromEntries(context)),
    },
  })

test(
  'it synthesises to the same templates, of another environment and phase too',
  async () => {
    await run(['environment', 'staging'], ['phase', 'transition'])
    const ours = synthesize(walletBlueprint({ environment: 'staging', phase: 'transition' }), join(folder, 'ours'))
    expect(ours.stacks).toHaveLength(6)
    for (const { templateFile, template } of ours.stacks) {
      expect(JSON.parse(readFileSync(join(folder, 'cdk.out', templateFile), 'utf8'))).toEqual(template)
    }
  },
  patienceMs,
)

test(
  'a phase that does not exist is told, and so is a contradiction that its owner writes',
  async () => {
    await expect(run(['phase', 'two'])).rejects.toMatchObject({
      stderr: expect.stringContaining('There is no phase "two"'),
    })
    const description = join(folder, 'lib/description.ts')
    const text = readFileSync(description, 'utf8')
    writeFileSync(description, text.replace('"10.21.0.0/16"', '"10.20.0.0/16"'))
    await expect(run()).rejects.toMatchObject({ stderr: expect.stringContaining('Networks share addresses') })
    writeFileSync(description, text)
  },
  patienceMs,
)

test('nothing in it names a package of ours or an address of a store', () => {
  const all = files.map(({ text }) => text).join('\n')
  expect(all).not.toContain('@replatform/')
  for (const { source, target } of Object.values(walletEstate.stores)) {
    for (const { url } of [source, target] as { url: string }[]) expect(all).not.toContain(url)
  }
  expect(files.filter(({ name }) => name.endsWith('.test.ts'))).toEqual([])
})

test('what is described is the same, and reads as people write it', () => {
  const text = files.find(({ name }) => name === 'lib/description.ts')?.text ?? ''
  expect(text).toContain('    production: {\n      kind: "production",')
  const literal = text.slice(text.indexOf('LandingZone = ') + 'LandingZone = '.length)
  expect(new Function(`return ${literal}`)()).toEqual(walletLandingZone)
})
