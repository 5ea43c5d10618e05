/**
 * Goal: the replication stream is cut and rewritten rightly, in whatever pieces it comes, and damage ends in an error.
 */
import { ReplatformError } from '@replatform/core/errors'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Argument, CommandBuffer, encodeCommand } from './command-buffer.ts'
import { rewriteCommand } from './command-rewriter.ts'
import { isPlain } from './command-table.ts'
import { lift, lifted, lowered } from './deadline.ts'
import { RespReader } from './resp-reader.ts'
import { StreamUnits } from './stream-units.ts'

const buffers = (...args: Argument[]) => args.map((arg) => Buffer.from(String(arg)))

function unitsOf(stream: Buffer, pieceBytes: number) {
  const units = new StreamUnits(1000)
  const found = []
  for (let at = 0; at < stream.length; at += pieceBytes) {
    units.push({ data: stream.subarray(at, at + pieceBytes), receivedAtMs: at })
    for (let unit = units.next(); unit; unit = units.next()) found.push(unit)
  }
  return found
}

const argument = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
const commandList = fc.array(fc.array(argument, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 20 })

test('commands come out as they went in, with the offset behind each', () => {
  fc.assert(
    fc.property(commandList, fc.integer({ min: 1, max: 60 }), (commands, pieceBytes) => {
      const stream = Buffer.concat(commands.map((command) => encodeCommand(command)))
      const units = unitsOf(stream, pieceBytes).filter(
        ({ commands: [first] }) => !/^(multi|exec)$/i.test(String(first?.args[0])),
      )
      expect(units.map(({ commands: [command] }) => command?.args.map(String))).toEqual(
        commands.map((command) => command.map(String)),
      )
      expect(units.at(-1)?.end).toBe(1000 + stream.length)
    }),
  )
})

test('a transaction is one unit', () => {
  const buffer = new CommandBuffer()
  for (const command of [['SET', 'a', 1], ['MULTI'], ['SET', 'b', 2], ['INCR', 'c'], ['EXEC'], ['PING']])
    buffer.add(command)
  for (const pieceBytes of [1, 13, 1000]) {
    expect(unitsOf(buffer.view, pieceBytes).map(({ commands }) => commands.length)).toEqual([1, 2, 1])
  }
})

test('ten thousand damaged streams end in units or a clear error', () => {
  const stream = Buffer.concat(
    [['SELECT', 0], ['SET', 'key', 'value'], ['MULTI'], ['DEL', 'a', 'b'], ['EXEC'], ['PEXPIREAT', 'k', 17]].map(
      (command) => encodeCommand(command),
    ),
  )
  const edits = fc.array(fc.tuple(fc.nat(stream.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(edits, fc.integer({ min: 1, max: 50 }), (changes, pieceBytes) => {
      const damaged = Buffer.from(stream)
      for (const [at, byte] of changes) damaged[at] = byte
      try {
        for (const { commands } of unitsOf(damaged, pieceBytes))
          for (const command of commands) rewriteCommand(command.args, 0)
      } catch (thrown) {
        if (!(thrown instanceof ReplatformError)) throw thrown
        expect(thrown.code).toMatch(/^redis\.(protocol|unknown-command)$/)
      }
    }),
    { numRuns: 10_000 },
  )
})

test.each([
  ['an array without end', `*${'9'.repeat(15)}\r\n`],
  ['a byte string without end', '$99999999999\r\n'],
  ['a negative length', '$-7\r\n'],
  ['a number that is none', ':12x\r\n'],
  ['a line without end', `+${'x'.repeat(70_000)}`],
  ['arrays in arrays', '*1\r\n'.repeat(50)],
  ['no type at all', 'GET / HTTP/1.1\r\n'],
])('%s is refused at once', (_name, bytes) => {
  const reader = new RespReader()
  reader.push(Buffer.from(bytes))
  expect(() => {
    while (reader.next() !== undefined);
  }).toThrow(expect.objectContaining({ code: 'redis.protocol' }))
})

const now = 1_700_000_000_000
test.each<[string, Argument[], Argument[]]>([
  ['EXPIRE', ['EXPIRE', 'k', 10], ['PEXPIREAT', 'k', lifted(now + 10_000)]],
  ['PEXPIRE', ['pexpire', 'k', 10], ['PEXPIREAT', 'k', lifted(now + 10)]],
  ['EXPIREAT', ['EXPIREAT', 'k', 1_800_000_000], ['PEXPIREAT', 'k', lifted(1_800_000_000_000)]],
  ['SETEX', ['SETEX', 'k', 5, 'v'], ['SET', 'k', 'v', 'PXAT', lifted(now + 5_000)]],
  ['PSETEX', ['PSETEX', 'k', 5, 'v'], ['SET', 'k', 'v', 'PXAT', lifted(now + 5)]],
  ['SET EX', ['SET', 'k', 'v', 'NX', 'ex', 5, 'GET'], ['SET', 'k', 'v', 'NX', 'PXAT', lifted(now + 5_000), 'GET']],
  ['SET PXAT', ['SET', 'k', 'v', 'PXAT', now + 9], ['SET', 'k', 'v', 'PXAT', lifted(now + 9)]],
  ['SET of a value that looks like an option', ['SET', 'EX', 'PX'], ['SET', 'EX', 'PX']],
  ['GETEX', ['GETEX', 'k', 'EX', 5], ['PEXPIREAT', 'k', lifted(now + 5_000)]],
  [
    'RESTORE',
    ['RESTORE', 'k', 5, 'payload', 'REPLACE'],
    ['RESTORE', 'k', lifted(now + 5), 'payload', 'ABSTTL', 'REPLACE'],
  ],
  ['RESTORE without a deadline', ['RESTORE', 'k', 0, 'payload'], ['RESTORE', 'k', 0, 'payload']],
  ['HSET', ['HSET', 'k', 'EX', 5], ['HSET', 'k', 'EX', 5]],
])('%s', (_name, command, expected) => {
  const effect = rewriteCommand(buffers(...command), now)
  expect(effect.kind === 'write' ? effect.args.map(String) : null).toEqual(expected.map(String))
})

test('a deadline survives being lifted, twice as well, and is exact', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 51 }), (deadline) => {
      expect(lowered(lifted(lifted(deadline)))).toBe(deadline)
      expect(Number.isSafeInteger(lifted(deadline))).toBe(true)
      expect(lifted(deadline)).toBeGreaterThan(lift)
    }),
  )
})

test.each([
  ['EVAL', 'return 1', 0],
  ['HEXPIRE', 'h', 1],
  ['MODULE.CMD', 'k'],
  ['XREADGROUP', 'x'],
])('%s is refused by name', (...command) => {
  expect(() => rewriteCommand(buffers(...command), now)).toThrow(
    expect.objectContaining({ code: 'redis.unknown-command' }),
  )
})

test('a command that goes on as it came is the one that taking it apart would give', () => {
  const name = fc.constantFrom(
    'SET',
    'set',
    'Incr',
    'HSET',
    'rpush',
    'DEL',
    'PEXPIREAT',
    'MSET',
    'RESTORE',
    'nobody-knows',
  )
  fc.assert(
    fc.property(
      name,
      fc.array(argument, { maxLength: 5 }),
      fc.integer({ min: 1, max: 60 }),
      (verb, rest, pieceBytes) => {
        const args = [Buffer.from(verb), ...rest]
        const [unit] = unitsOf(encodeCommand(args), pieceBytes)
        const [command] = unit?.commands ?? []
        expect(command?.name).toBe(verb)
        expect(command?.args.map((arg) => arg.toString('latin1'))).toEqual(args.map((arg) => arg.toString('latin1')))
        expect(command?.first.toString('latin1')).toBe(rest[0]?.toString('latin1') ?? '')
        if (!isPlain(verb, args.length)) return
        expect(rewriteCommand(args, 0)).toMatchObject({ kind: 'write', args, keys: [rest[0]], otherDb: null })
        const buffer = new CommandBuffer()
        buffer.addEncoded(command?.bytes as Buffer)
        expect(buffer.view).toEqual(encodeCommand(args))
      },
    ),
  )
})

test('a large command that comes in many pieces is put together once', () => {
  const units = new StreamUnits(0)
  const value = Buffer.alloc(8 << 20, 'v')
  const stream = Buffer.concat([encodeCommand(['PING']), encodeCommand(['SET', 'k', value]), encodeCommand(['PING'])])
  const found: number[] = []
  for (let at = 0; at < stream.length; at += 4_096) {
    units.push({ data: stream.subarray(at, at + 4_096), receivedAtMs: 0 })
    for (let unit = units.next(); unit; unit = units.next()) found.push(unit.bytes)
  }
  expect(found).toEqual([14, stream.length - 28, 14])
})
