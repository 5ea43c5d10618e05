/** What a replicated command means to a target whose keys lie in slots. */
import { ReplatformError } from '@replatform/core/errors'
import type { Argument } from './command-buffer.ts'
import { rewriteCommand } from './command-rewriter.ts'
import { keySlot } from './key-slot.ts'
import { otherDatabase } from './rdb-load.ts'
import { splitCommand } from './split-command.ts'

/** Commands for the keys of one slot. */
export interface SlotPiece {
  readonly slot: number
  readonly args: readonly Argument[]
}

export type SlotStep =
  | { readonly kind: 'none' }
  /** Each slot's part of the command, or the command itself: of no other slot's keys. */
  | { readonly kind: 'pieces'; readonly pieces: readonly SlotPiece[]; readonly keys: readonly Buffer[] }
  /** Takes from one slot what it puts into another. */
  | { readonly kind: 'across'; readonly across: Across; readonly keys: readonly Buffer[] }
  | { readonly kind: 'flush' }
  | { readonly kind: 'library'; readonly args: readonly Argument[] }

export type Across =
  | { readonly how: 'value'; readonly from: Buffer; readonly to: Buffer; readonly keeps: boolean }
  | { readonly how: 'member'; readonly from: Buffer; readonly to: Buffer; readonly member: Buffer }
  | { readonly how: 'element'; readonly from: Buffer; readonly to: Buffer; readonly take: End; readonly put: End }
  /** The command itself, where its inputs lie beside its destination. */
  | {
      readonly how: 'combine'
      readonly to: Buffer
      readonly args: readonly Buffer[]
      readonly inputs: readonly number[]
    }

type End = 'LEFT' | 'RIGHT'

/** Throws `redis.unknown-command`, `redis.database-in-cluster` or `redis.value-too-large`. */
export function routeCommand(args: readonly Buffer[], sourceNowMs: number): SlotStep {
  const name = (args[0] as Buffer).toString('latin1').toLowerCase()
  if (name === 'select' && String(args[1]) !== '0') throw otherDatabase(Number(args[1]))
  const effect = rewriteCommand(args, sourceNowMs)
  switch (effect.kind) {
    case 'control':
      return { kind: 'none' }
    case 'flush':
      return { kind: 'flush' }
    case 'library':
      return { kind: 'library', args: effect.args }
    case 'swap':
      throw otherDatabase(Math.max(...effect.dbs))
    default:
      if (effect.otherDb !== null && effect.otherDb !== 0) throw otherDatabase(effect.otherDb)
      return routeWrite({ name, args, effect })
  }
}

interface Write {
  readonly name: string
  readonly args: readonly Buffer[]
  readonly effect: { readonly args: readonly Argument[]; readonly keys: readonly Buffer[] }
}

function routeWrite({ name, args, effect }: Write): SlotStep {
  const { keys } = effect
  const roles = rolesOf(name, args)
  if (roles && areApart([roles.to, ...roles.inputs], args)) {
    return { kind: 'across', across: acrossOf(name, args, roles), keys }
  }
  const [first] = keys
  if (!first) return { kind: 'none' }
  const pieces = perKey(name, args) ?? splitCommand(name, effect.args)
  return { kind: 'pieces', pieces: pieces.map((piece) => ({ slot: slotIn(name, piece), args: piece })), keys }
}

/** Commands that may name keys of many slots without looking from one at another. */
function perKey(name: string, args: readonly Buffer[]): Argument[][] | null {
  if (name === 'del' || name === 'unlink') return args.slice(1).map((key) => [name, key])
  if (name !== 'mset' && name !== 'msetnx') return null
  const pieces: Argument[][] = []
  for (let at = 1; at + 1 < args.length; at += 2) pieces.push(['SET', args[at] as Buffer, args[at + 1] as Buffer])
  return pieces
}

function slotIn(name: string, piece: readonly Argument[]): number {
  const at = name === 'bitop' || name === 'xgroup' ? 2 : 1
  return keySlot(piece[at] as Buffer)
}

/** Which arguments are the destination and what is read for it. */
interface Roles {
  readonly to: number
  readonly inputs: readonly number[]
}

function rolesOf(name: string, args: readonly Buffer[]): Roles | null {
  const range = (from: number, to: number) => Array.from({ length: Math.max(to - from, 0) }, (_, index) => from + index)
  switch (name) {
    case 'rename':
    case 'renamenx':
    case 'copy':
    case 'smove':
    case 'lmove':
    case 'blmove':
    case 'rpoplpush':
    case 'brpoplpush':
      return { to: 2, inputs: [1] }
    case 'sinterstore':
    case 'sunionstore':
    case 'sdiffstore':
    case 'pfmerge':
      return { to: 1, inputs: range(2, args.length) }
    case 'zunionstore':
    case 'zinterstore':
    case 'zdiffstore':
      return { to: 1, inputs: range(3, Math.min(3 + Number(args[2]), args.length)) }
    case 'zrangestore':
    case 'geosearchstore':
      return { to: 1, inputs: [2] }
    case 'bitop':
      return { to: 2, inputs: range(3, args.length) }
    case 'sort':
    case 'georadius':
    case 'georadiusbymember':
      return storeRoles(name, args)
    default:
      return null
  }
}

/** SORT by other keys looks anywhere; no cluster carries it out. */
function storeRoles(name: string, args: readonly Buffer[]): Roles | null {
  const words = args.map((arg) => arg.toString('latin1').toUpperCase())
  const readsOthers = words.some((word, at) => at > 1 && (word === 'GET' || word === 'BY') && words[at + 1] !== '#')
  const isConstant = words[words.indexOf('BY', 2) + 1]?.includes('*') === false && !words.includes('GET', 2)
  if (name === 'sort' && readsOthers && !isConstant) {
    throw new ReplatformError('redis.unknown-command', {
      message: 'The source replicated SORT with BY or GET, which no cluster carries out.',
    })
  }
  const at = words.findIndex((word, index) => index > 1 && (word === 'STORE' || word === 'STOREDIST'))
  return at < 0 ? null : { to: at + 1, inputs: [1] }
}

function areApart(indexes: readonly number[], args: readonly Buffer[]): boolean {
  const slots = indexes.map((index) => keySlot(args[index] as Buffer))
  return slots.some((slot) => slot !== slots[0])
}

function acrossOf(name: string, args: readonly Buffer[], roles: Roles): Across {
  const [from, to] = [args[roles.inputs[0] as number] as Buffer, args[roles.to] as Buffer]
  const end = (index: number) => String(args[index]).toUpperCase() as End
  switch (name) {
    case 'rename':
    case 'renamenx':
      return { how: 'value', from, to, keeps: false }
    case 'copy':
      return { how: 'value', from, to, keeps: true }
    case 'smove':
      return { how: 'member', from, to, member: args[3] as Buffer }
    case 'lmove':
    case 'blmove':
      return { how: 'element', from, to, take: end(3), put: end(4) }
    case 'rpoplpush':
    case 'brpoplpush':
      return { how: 'element', from, to, take: 'RIGHT', put: 'LEFT' }
    default:
      return { how: 'combine', to, args, inputs: roles.inputs }
  }
}
