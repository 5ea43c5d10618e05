import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ReplatformError } from './errors.ts'
import { parseEstate } from './estate-parser.ts'

const valid = `# an estate
estate: wallet
tools:
  pg_dump: /usr/lib/postgresql/17/bin/pg_dump
stores:
  ledger:
    source: { kind: postgresql, url: env:LEDGER_OLD }
    target: { kind: postgresql, url: file:/run/secrets/ledger, service: rds }
    switch: { pgbouncer: { admin: env:PGBOUNCER, database: ledger, config: /etc/pgbouncer/databases.ini } }
    workers: 8
waves:
  - { name: relational, phase: rehost, moves: [ledger], pauseBudget: 2s }
`

describe('parseEstate', () => {
  it('reads a valid estate', () => {
    const estate = parseEstate(valid, 'estate.yaml')
    expect(estate.estate).toBe('wallet')
    expect(estate.stores.ledger?.target.service).toBe('rds')
    expect(estate.waves?.[0]?.moves).toEqual(['ledger'])
  })

  it('resolves anchors and aliases', () => {
    const estate = parseEstate(
      'estate: w\nstores:\n  a: &a\n    source: { kind: postgresql, url: env:A }\n    target: { kind: postgresql, url: env:B }\n  b: *a\n',
      'estate.yaml',
    )
    expect(estate.stores.b).toEqual(estate.stores.a)
  })

  it('names an unknown key with its place and the key that was meant', () => {
    const text = valid.replace('source: { kind:', 'source: { kin:')
    expect(problemsOf(text)).toEqual([
      'estate.yaml:7:13 stores.ledger.source: the key "kind" is missing',
      'estate.yaml:7:15 stores.ledger.source.kin: unknown key; did you mean "kind"?',
    ])
  })

  it('names every problem, in the order of the lines', () => {
    const text = valid
      .replace('wallet', 'My Wallet')
      .replace('workers: 8', 'workers: 99')
      .replace('phase: rehost', 'phase: later')
      .replace('service: rds', 'service: 5')
    expect(problemsOf(text)).toEqual([
      expect.stringMatching(/^estate\.yaml:2:9 estate: expected a name of lower-case letters/),
      'estate.yaml:8:73 stores.ledger.target.service: expected a text',
      'estate.yaml:10:14 stores.ledger.workers: expected at most 32',
      'estate.yaml:12:32 waves[0].phase: expected one of "rehost", "replatform"',
    ])
  })

  it.each([
    ['as a plain text', 'postgres://u:hunter2@db/ledger'],
    ['as a number', '2222222222'],
    ['as a mapping', '{ password: hunter2 }'],
    ['as a tag', '!hunter2 x'],
    ['as an alias', '*hunter2'],
    ['as a text that YAML refuses', '@hunter2'],
    ['with an escape that YAML refuses', '"hunter2\\q"'],
    ['behind an unknown scheme', 'vault:hunter2'],
  ])('refuses a secret written %s, and never shows it', (_, secret) => {
    const message = messageOf(valid.replace('env:LEDGER_OLD', secret))
    expect(message).toMatch(/^estate\.yaml:7:\d+ /)
    expect(message).not.toMatch(/hunter2|2222222222/)
  })

  it('says how to write a secret', () => {
    const [problem] = problemsOf(valid.replace('env:LEDGER_OLD', 'postgres://u:hunter2@db/ledger'))
    expect(problem).toMatch(/stores\.ledger\.source\.url: .* write env:NAME or file:\/path/)
  })

  it('does not show an address that became a key because a space is missing', () => {
    const message = messageOf(valid.replace('url: env:LEDGER_OLD', 'url:postgres://u:hunter2@db/ledger'))
    expect(message).toContain('a key that is not shown')
    expect(message).not.toContain('hunter2')
  })

  it('holds waves and stores together', () => {
    const text = `${valid}  - { name: relational, phase: rehost, moves: [ledger, legder] }\n`
    expect(problemsOf(text)).toEqual([
      'estate.yaml:13:13 waves[1].name: another wave is named "relational" already',
      'estate.yaml:13:48 waves[1].moves[0]: "ledger" cuts over in the wave "relational" already',
      'estate.yaml:13:56 waves[1].moves[1]: no store is named "legder"; did you mean "ledger"?',
    ])
  })

  it('refuses a target that is the source', () => {
    expect(problemsOf(valid.replace('file:/run/secrets/ledger', 'env:LEDGER_OLD'))).toEqual([
      'estate.yaml:8:38 stores.ledger.target.url: the same reference as the source',
    ])
  })

  it('names a duplicate key', () => {
    expect(problemsOf(valid.replace('    workers: 8', '    workers: 8\n    workers: 4'))).toEqual([
      'estate.yaml:11:5 stores.ledger.workers: this key stands here twice',
    ])
  })

  it.each([
    ['a tab as indentation', 'estate: w\nstores:\n\tledger: {}\n', /estate\.yaml:3:1 a tab cannot indent/],
    ['a bracket that is not closed', 'estate: w\nstores: {\n', /estate\.yaml:3:1 .* a bracket before is not closed/],
    ['a second document', `${valid}---\na: b\n`, /estate\.yaml:13:\d+ a second document begins here/],
    ['an empty file', ' \n', /the file is empty/],
    ['a list', '- a\n', /expected a mapping/],
    ['a binary file', '\x7fELF\0\0', /not a text in UTF-8/],
    ['a huge file', 'a: b\n'.repeat(2_000_000), /larger than 256 KiB/],
    ['many keys', `{${Array.from({ length: 40_000 }, (_, n) => `k${n.toString(36)}`).join(',')}}`, /… and \d+ more$/],
    ['deep nesting', '['.repeat(200_000), /nested too deeply/],
    ['aliases that multiply', aliasBomb(), /too many aliases/],
    ['an alias inside its own anchor', 'estate: &a\n  b: *a\n', /estate: expected a text/],
  ])('refuses %s', (_, text, message) => {
    expect(messageOf(text)).toMatch(message)
  })

  it('throws nothing but estate.invalid, whatever the text', () => {
    const pieces = fc.constantFrom(
      ...valid.split(/(?<=[\s:{},])/),
      '&a ',
      '*a',
      '!x ',
      '"',
      "'",
      '[',
      ']',
      '---\n',
      '\t',
      '? ',
    )
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(pieces, { maxLength: 60 }).map((parts) => parts.join('')),
      fc.json(),
      fc.tuple(fc.nat(valid.length), fc.nat(8), fc.string({ maxLength: 4 })).map(([at, cut, put]) => {
        return valid.slice(0, at) + put + valid.slice(at + cut)
      }),
    )
    fc.assert(
      fc.property(texts, (text) => {
        try {
          expect(parseEstate(text, 'estate.yaml').stores).toBeTypeOf('object')
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ReplatformError)
          expect(thrown).toMatchObject({
            code: 'estate.invalid',
            message: expect.stringMatching(/^estate\.yaml:\d+:\d+ /),
          })
        }
      }),
      { numRuns: 500 },
    )
  })
})

function problemsOf(text: string): string[] {
  return messageOf(text).split('\n')
}

function messageOf(text: string): string {
  try {
    parseEstate(text, 'estate.yaml')
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: 'estate.invalid' })
    return (thrown as ReplatformError).message
  }
  throw new Error('the estate was accepted')
}

function aliasBomb(): string {
  const levels = ['a', 'b', 'c', 'd', 'e']
  return levels
    .map(
      (name, level) =>
        `${name}: &${name} [${Array(10)
          .fill(level === 0 ? 1 : `*${levels[level - 1]}`)
          .join(', ')}]`,
    )
    .join('\n')
}
