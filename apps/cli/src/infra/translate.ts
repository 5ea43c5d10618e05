import { existsSync, globSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import type { LandingZone } from '@replatform/core/landing-zone-estate'
import { validate } from '@replatform/landing-zone/plan/validate'
import type { ConfigFile } from '@replatform/landing-zone/translate/config-text'
import { formats, type OldConfig, type Translation, translate } from '@replatform/landing-zone/translate/translate'
import { stringify } from 'yaml'
import type { Exit } from '../exit-codes.ts'
import { renderFindings } from '../findings-view.ts'
import type { Invocation } from '../invocation.ts'
import type { Style } from '../style.ts'
import type { VerbOptions } from '../verb.ts'
import { chosen } from './environment.ts'

/** Reads old configurations and writes the services of the estate as they would have to be; the estate file stays. */
export async function run(invocation: Invocation, options: VerbOptions): Promise<Exit> {
  const { environment, phase } = chosen(options)
  const { estate } = invocation
  const file = resolve(invocation.io.cwd, options.out ?? 'translated.yaml')
  if (existsSync(file)) throw new ReplatformError('landing-zone.output-refused', { message: `${file} exists already.` })
  const configs = formats.flatMap((format) =>
    (options[format] ?? []).map((argument) => oldConfig(format, argument, invocation.io.cwd)),
  )
  if (configs.length === 0) {
    const names = formats.map((format) => `--${format}`).join(', ')
    throw new ReplatformError('usage', { message: `Name at least one file to translate, with ${names}.` })
  }
  const { landingZone } = estate
  if (!landingZone)
    throw new ReplatformError('landing-zone.missing', { message: 'The estate file has no landingZone.' })
  const { services, findings, outcomes } = translate(configs, landingZone)
  const merged: LandingZone = { ...landingZone, services }
  const contradictions = validate({ estate: estate.estate, landingZone: merged, environment, phase }).filter(
    ({ severity }) => severity === 'blocker',
  )
  writeWhole(file, render(services))
  const all = [...contradictions, ...findings]
  invocation.result({ file, services, findings: all, outcomes }, (style) => [
    ...renderFindings(all, style),
    '',
    ...summary(outcomes, style),
    `Written to ${file}: put it in the place of landingZone.services, read every reason, then run infra check.`,
  ])
  return 'ok'
}

/** `file`, or `name=file` where it is the machine of a service or store. */
function oldConfig(format: OldConfig['format'], argument: string, cwd: string): OldConfig {
  const [, machine, path = argument] = /^([a-z][a-z0-9-]*)=(.+)$/.exec(argument) ?? []
  const file = resolve(cwd, path)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new ReplatformError('landing-zone.config-invalid', { message: `${path} cannot be read.`, cause })
  }
  const read = (pattern: string): ConfigFile[] =>
    globSync(resolve(dirname(file), pattern))
      .filter((name) => statSync(name).isFile())
      .toSorted()
      .map((name) => ({ name, text: readFileSync(name, 'utf8') }))
  return { format, name: path, text, read, ...(machine ? { machine } : {}) }
}

function render(services: Translation['services']): string {
  const head = [
    '# Services as old configurations describe them, together with those of the estate file.',
    '# It takes the place of landingZone.services. Reasons that begin with "Carried over" or "Allowed by" wait for yours.',
  ]
  return `${head.join('\n')}\n${stringify({ services }, { lineWidth: 120, aliasDuplicateObjects: false })}`
}

function writeWhole(file: string, text: string): void {
  const part = `${file}.${process.pid}.part`
  try {
    writeFileSync(part, text, { flag: 'wx' })
    renameSync(part, file)
  } catch (cause) {
    rmSync(part, { force: true })
    throw new ReplatformError('landing-zone.output-refused', { message: `${file} cannot be written.`, cause })
  }
}

function summary(outcomes: Translation['outcomes'], { colors }: Style): string[] {
  const count = (became: Translation['outcomes'][number]['became']) =>
    outcomes.filter((outcome) => outcome.became === became).length
  return [
    `${count('carried')} statements are carried, ${count('not needed')} are not needed on AWS, ${colors.yellow(`${count('left')} are left`)} to you (all with --json).`,
  ]
}
