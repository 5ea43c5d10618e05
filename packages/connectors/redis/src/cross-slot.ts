/**
 * Commands that take from one slot what they put into another. The target carries out none of them, so that what they
 * put is worked out from what the target holds, with all before them applied.
 */
import { ReplatformError } from '@replatform/core/errors'
import type { Argument } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import { keySlot, tagOf } from './key-slot.ts'
import type { Across } from './slot-routing.ts'

/** Such a value is in this process's memory once as a whole. */
const mostBytes = 64 * 1024 * 1024

/** For the destination's slot. Reads the other slots; a key of ours stands there only within the script. */
export async function putCommands(across: Across, serverOf: (key: Buffer) => Connection): Promise<Argument[][]> {
  switch (across.how) {
    case 'member':
      return [['SADD', across.to, across.member]]
    case 'element': {
      const element = await serverOf(across.from).command('LINDEX', across.from, across.take === 'LEFT' ? 0 : -1)
      if (!Buffer.isBuffer(element)) throw notThere()
      return [[across.put === 'LEFT' ? 'LPUSH' : 'RPUSH', across.to, element]]
    }
    case 'value': {
      const copy = await restoreAs(across.to, across.from, serverOf(across.from))
      if (!copy) throw notThere()
      return [copy]
    }
    default:
      return combine(across, serverOf)
  }
}

/** For the slot that was taken from. */
export function takeCommand(across: Across): { readonly key: Buffer; readonly args: Argument[] } | null {
  if (across.how === 'combine' || (across.how === 'value' && across.keeps)) return null
  const key = across.from
  switch (across.how) {
    case 'value':
      return { key, args: ['DEL', key] }
    case 'member':
      return { key, args: ['SREM', key, across.member] }
    default:
      return { key, args: [across.take === 'LEFT' ? 'LPOP' : 'RPOP', key] }
  }
}

async function combine(
  { to, args, inputs }: Extract<Across, { how: 'combine' }>,
  serverOf: (key: Buffer) => Connection,
): Promise<Argument[][]> {
  const slot = keySlot(to)
  const words: Argument[] = [...args]
  const copies: Argument[][] = []
  for (const index of inputs) {
    const key = args[index] as Buffer
    if (keySlot(key) === slot) continue
    const beside = `replatform:{${tagOf(slot)}}:input:${index}`
    const copy = await restoreAs(beside, key, serverOf(key))
    if (copy) copies.push(copy)
    words[index] = beside
  }
  return [...copies, words, ...copies.map((copy) => ['DEL', copy[1] as Argument])]
}

async function restoreAs(to: Argument, key: Buffer, server: Connection): Promise<Argument[] | null> {
  const [bytes, payload, deadline] = await server.pipeline([
    ['MEMORY', 'USAGE', key],
    ['DUMP', key],
    ['PEXPIRETIME', key],
  ])
  if (!Buffer.isBuffer(payload)) return null
  if (Number(bytes) > mostBytes) {
    throw new ReplatformError('redis.value-too-large', {
      message: `The source moved a value of more than ${mostBytes >> 20} MB from one slot to another.`,
    })
  }
  return ['RESTORE', to, Math.max(Number(deadline), 0), payload, 'REPLACE', 'ABSTTL']
}

function notThere(): ReplatformError {
  return new ReplatformError('redis.apply-refused', {
    message: 'The source moved a value from one slot to another that the target does not have.',
  })
}
