import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runCli } from './cli.ts'
import { capturedIo } from './test-fixtures/captured-io.ts'
import { verbs } from './verbs.ts'

const valid = `estate: wallet
stores:
  ledger:
    source: { kind: postgresql, url: env:OLD }
    target: { kind: postgresql, url: env:NEW }
`

describe('help', () => {
  it('lists every verb', async () => {
    const { code, out } = await run(['--help'])
    expect(code).toBe(0)
    for (const { name, summary } of verbs) expect(out).toMatch(new RegExp(`^  ${name} +${summary}$`, 'm'))
  })

  it.each(verbs.map(({ name }) => name))('of %s has an example, exit codes and all options', async (name) => {
    const { code, out, err } = await run([name, '--help'])
    expect(code).toBe(0)
    expect(err).toBe('')
    expect(out).toMatch(new RegExp(`^Example:\\n.*replatform ${name}`, 'm'))
    expect(out).toMatch(/^Exit codes:\n +0 {2}Done\./m)
    expect(out).toContain('--estate <file>')
    for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80)
  })

  it('offers --dry-run for every verb that changes a move', async () => {
    for (const name of ['start', 'cutover', 'rollback', 'finalize', 'pause', 'resume', 'cancel']) {
      expect((await run([name, '--help'])).out).toContain('--dry-run')
    }
  })

  it('is shown for a call without a verb, which is wrong', async () => {
    const { code, out, err } = await run([])
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toContain('Usage: replatform')
  })
})

describe('a wrong command line', () => {
  it.each([
    [['stauts'], /Unknown command 'stauts'.*status/],
    [['status', '--wach'], /Unknown option '--wach'.*--watch/],
    [['status', 'ledger', 'too', 'many'], /too many arguments/i],
    [['start', '--until', 'monday'], /in-sync/],
    [['audit', '--limit', '-3'], /whole number from 1 to 1000/],
  ])('%j is exit code 2 and says what is meant', async (args, message) => {
    const { code, out, err } = await run(args)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toMatch(/^error usage\n/)
    expect(err.replaceAll(/\s+/g, ' ')).toMatch(message)
    expect(err).toMatch(/^next /m)
  })

  it('is a document on standard output with --json', async () => {
    const { out } = await run(['stauts', '--json'])
    expect(JSON.parse(out)).toMatchObject({ error: { code: 'usage', retry: 'operator' } })
  })
})

describe('a wrong estate', () => {
  it('that does not exist is named', async () => {
    const { code, err } = await run(['status', '--estate', 'nowhere.yaml'])
    expect(code).toBe(2)
    expect(err).toMatch(/^error estate\.not-found\n.*nowhere\.yaml does not exist/)
  })

  it.each(verbs.map(({ name }) => name))('is exit code 2 for %s, with file, line and hint', async (name) => {
    const needed = name === 'throttle' ? ['--off'] : []
    const { code, out, err } = await run([name, ...needed], valid.replace('source:', 'soruce:'))
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toContain('estate.yaml:4:5 stores.ledger.soruce: unknown key; did you mean "source"?')
    expect(err).not.toMatch(/^ +at /m)
  })

  it('is one JSON document with --json', async () => {
    const { out } = await run(['cutover', '--json'], valid.replace('env:OLD', 'postgresql://u:hunter2@h/db'))
    expect(out).not.toContain('hunter2')
    expect(JSON.parse(out)).toMatchObject({ error: { code: 'estate.invalid', next: expect.any(String) } })
  })

  it('shows with --verbose where in the program the error comes from', async () => {
    const { err } = await run(['status', '--verbose'], 'estate: 1\n')
    expect(err).toMatch(/^ +at .*estate-parser\.ts/m)
  })
})

describe('a move', () => {
  it('that is not in the estate is exit code 2, with the one that was meant', async () => {
    const { code, err } = await run(['cutover', 'legder'], valid)
    expect(code).toBe(2)
    expect(err).toMatch(/^error estate\.unknown-move\n.*Did you mean "ledger"\?/)
  })

  it('must be named where there are several', async () => {
    const two = `${valid}  cards:\n    source: { kind: postgresql, url: env:A }\n    target: { kind: postgresql, url: env:B }\n`
    const { code, err } = await run(['cutover'], two)
    expect(code).toBe(2)
    expect(err).toContain('Name one of the moves of the estate: ledger, cards.')
  })
})

describe('doctor', () => {
  it('names everything that is wrong at once and changes nothing', async () => {
    const env = { OLD: 'postgresql://u:hunter2@127.0.0.1:1/ledger' }
    const { code, out, err } = await run(['doctor', '--json'], valid, env)
    const { ok, checks } = JSON.parse(out)
    expect(ok).toBe(false)
    expect(code).toBe(2)
    expect(out + err).not.toContain('hunter2')
    const stateOf = Object.fromEntries(checks.map((check: { name: string }) => [check.name, check]))
    expect(stateOf.node).toMatchObject({ state: 'ok' })
    expect(stateOf['ledger source']).toMatchObject({ state: 'failed', error: { code: 'connection.refused' } })
    expect(stateOf['ledger target']).toMatchObject({ state: 'failed', error: { code: 'secret.unresolved' } })
  })
})

describe('serving beyond the local socket', () => {
  const access = `${valid}access:\n  - { name: vera, roles: [viewer], token: env:TOKEN }\n`
  it.each([
    [[], access, /--listen takes a host and a port/],
    [['--listen', '8443'], access, /--listen takes a host and a port/],
    [['--listen', '127.0.0.1:8443'], access, /over TLS only: --tls-cert and --tls-key/],
    [['--listen', '127.0.0.1:8443', '--tls-cert', 'a', '--tls-key', 'b'], access, /--tls-cert: a cannot be read/],
    [
      ['--listen', '127.0.0.1:8443', '--tls-cert', 'estate.yaml', '--tls-key', 'estate.yaml'],
      valid,
      /cannot be read|nobody/,
    ],
  ])('is refused: %j', async (args, estate, message) => {
    const { code, out, err } = await run(['serve', ...args], estate)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toMatch(/^error access\.unusable\n/)
    expect(err.replaceAll(/\s+/g, ' ')).toMatch(message)
  })
})

describe('colours', () => {
  it('are there when forced, and never against NO_COLOR or --no-color', async () => {
    expect((await run(['stauts'], valid, { FORCE_COLOR: '1' })).err).toContain('\u001b[31m')
    expect((await run(['stauts'], valid, { FORCE_COLOR: '1', NO_COLOR: '1' })).err).not.toContain('\u001b')
    expect((await run(['stauts', '--no-color'], valid, { FORCE_COLOR: '1' })).err).not.toContain('\u001b')
  })
})

async function run(args: readonly string[], estate = valid, env: NodeJS.ProcessEnv = {}) {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'cli-'))
  writeFileSync(join(folder.path, 'estate.yaml'), estate)
  const io = capturedIo(folder.path, env)
  const code = await runCli(args, io)
  return { code, out: io.out.text, err: io.err.text }
}
