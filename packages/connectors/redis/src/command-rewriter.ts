/**
 * Turns a replicated command into what is applied on the target: the same, except that deadlines become absolute by
 * the source's clock, and lifted (see deadline.ts). What is not known to be right is refused by name.
 */
import { ReplatformError } from '@replatform/core/errors'
import type { Argument } from './command-buffer.ts'
import { keysOf, writtenKeys } from './command-table.ts'
import { lifted } from './deadline.ts'

/** `control`: belongs to the stream and not to the data. `flush` and `swap` reach keys that no argument names. */
export type Effect =
  | { readonly kind: 'control'; readonly name: 'multi' | 'exec' | 'select' | 'none' }
  | {
      readonly kind: 'write'
      readonly args: readonly Argument[]
      readonly keys: readonly Buffer[]
      readonly otherDb: number | null
    }
  | { readonly kind: 'flush'; readonly args: readonly Argument[]; readonly everything: boolean }
  | { readonly kind: 'swap'; readonly args: readonly Argument[]; readonly dbs: readonly [number, number] }
  /** Functions: no key, and the same in every database. */
  | { readonly kind: 'library'; readonly args: readonly Argument[] }

/** `sourceNowMs`: when the source carried it out, by its own clock; only older sources' relative deadlines need it. */
export function rewriteCommand(args: readonly Buffer[], sourceNowMs: number): Effect {
  const name = (args[0] as Buffer).toString('latin1').toLowerCase()
  const range = writtenKeys(name)
  if (range) {
    const keys = keysOf(range, args)
    return { kind: 'write', args: withDeadline(name, args, sourceNowMs), keys, otherDb: otherDatabase(name, args) }
  }
  switch (name) {
    case 'multi':
    case 'exec':
    case 'select':
      return { kind: 'control', name }
    // Nobody who subscribes is on the target yet; loaded scripts are loaded again by those who call them.
    case 'ping':
    case 'replconf':
    case 'publish':
    case 'spublish':
    case 'script':
      return { kind: 'control', name: 'none' }
    case 'flushall':
    case 'flushdb':
      return { kind: 'flush', args: [name], everything: name === 'flushall' }
    case 'sort':
    case 'georadius':
    case 'georadiusbymember':
      return { kind: 'write', args, keys: storedKeys(args), otherDb: null }
    case 'swapdb':
      return { kind: 'swap', args, dbs: [number(args[1]), number(args[2])] }
    case 'function':
      return { kind: 'library', args }
    default:
      throw unknownCommand(name)
  }
}

export function unknownCommand(name: string): ReplatformError {
  return new ReplatformError('redis.unknown-command', {
    message: `The source replicated ${name.toUpperCase().replace(/[^A-Z0-9._-]/g, '?')}, which cannot be followed.`,
  })
}

/** They write only where they are told to store. */
function storedKeys(args: readonly Buffer[]): Buffer[] {
  const isStore = (arg: Buffer, index: number) => index > 1 && (isWord(arg, 'STORE') || isWord(arg, 'STOREDIST'))
  return args.flatMap((arg, index) => (isStore(arg, index) ? (args[index + 1] ?? []) : []))
}

function otherDatabase(name: string, args: readonly Buffer[]): number | null {
  if (name === 'move') return number(args[2])
  if (name !== 'copy') return null
  const at = args.findIndex((arg, index) => index > 2 && isWord(arg, 'DB'))
  return at < 0 ? null : number(args[at + 1])
}

function withDeadline(name: string, args: readonly Buffer[], nowMs: number): readonly Argument[] {
  const key = args[1] as Buffer
  switch (name) {
    case 'pexpireat':
      return ['PEXPIREAT', key, lifted(number(args[2]))]
    case 'expireat':
      return ['PEXPIREAT', key, lifted(number(args[2]) * 1000)]
    case 'pexpire':
      return ['PEXPIREAT', key, lifted(nowMs + number(args[2]))]
    case 'expire':
      return ['PEXPIREAT', key, lifted(nowMs + number(args[2]) * 1000)]
    case 'setex':
      return ['SET', key, args[3] as Buffer, 'PXAT', lifted(nowMs + number(args[2]) * 1000)]
    case 'psetex':
      return ['SET', key, args[3] as Buffer, 'PXAT', lifted(nowMs + number(args[2]))]
    case 'set':
      return args.length > 4 ? withOption(args, 3, nowMs) : args
    case 'getex':
      return args.length > 3 ? ['PEXPIREAT', key, optionDeadline(args, 2, nowMs)] : ['PERSIST', key]
    case 'restore':
      return withRestoreDeadline(args, nowMs)
    default:
      return args
  }
}

function withOption(args: readonly Buffer[], from: number, nowMs: number): readonly Argument[] {
  const at = args.findIndex((arg, index) => index >= from && isDeadlineOption(arg))
  if (at < 0) return args
  return [...args.slice(0, at), 'PXAT', optionDeadline(args, at, nowMs), ...args.slice(at + 2)]
}

function isDeadlineOption(arg: Buffer): boolean {
  return isWord(arg, 'EX') || isWord(arg, 'PX') || isWord(arg, 'EXAT') || isWord(arg, 'PXAT')
}

function optionDeadline(args: readonly Buffer[], at: number, nowMs: number): number {
  const option = (args[at] as Buffer).toString('latin1').toUpperCase()
  const amount = number(args[at + 1]) * (option.startsWith('P') ? 1 : 1000)
  return lifted(option.endsWith('AT') ? amount : nowMs + amount)
}

function withRestoreDeadline(args: readonly Buffer[], nowMs: number): readonly Argument[] {
  const ttl = number(args[2])
  if (ttl === 0) return args
  const options = args.slice(4)
  const isAbsolute = options.some((option) => isWord(option, 'ABSTTL'))
  const rest = options.filter((option) => !isWord(option, 'ABSTTL'))
  const deadline = lifted(isAbsolute ? ttl : nowMs + ttl)
  return ['RESTORE', args[1] as Buffer, deadline, args[3] as Buffer, 'ABSTTL', ...rest]
}

function isWord(arg: Buffer, word: string): boolean {
  return arg.length === word.length && arg.toString('latin1').toUpperCase() === word
}

function number(arg: Buffer | undefined): number {
  const value = Number(arg?.toString('latin1'))
  if (arg === undefined || arg.length === 0 || !Number.isFinite(value)) {
    throw new ReplatformError('redis.protocol', { message: 'The source replicated a command whose number is none.' })
  }
  return value
}
