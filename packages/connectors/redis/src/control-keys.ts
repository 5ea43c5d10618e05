/** Keys of our own, all in database 0 of a flow's target. Never copied, compared, or touched by what a source sends. */
import type { Direction } from '@replatform/core/move'

const prefix = 'replatform:{'
const prefixBytes = Buffer.from(prefix)
/** That they begin with, and few others. */
export const controlByte = prefixBytes[0] as number

export interface FlowKey {
  readonly move: string
  readonly direction: Direction
}

export interface ControlKeys {
  /** A number; who writes holds the newest. */
  readonly epoch: string
  /** Hash: how far the flow is. */
  readonly checkpoint: string
  /** Hash of decisions by their id. */
  readonly decisions: string
  /** What keyspace notifications were set to on the source, where the flow has changed it. */
  readonly notifications: string
  /** Set: the first slot of every part that the flow ever had, where its target is a cluster. */
  readonly parts: string
}

export function controlKeys({ move, direction }: FlowKey): ControlKeys {
  const base = `${prefix}${move}}`
  return {
    epoch: `${base}:${direction}:epoch`,
    checkpoint: `${base}:${direction}:checkpoint`,
    decisions: `${base}:decisions`,
    notifications: `${base}:${direction}:notifications`,
    parts: `${base}:${direction}:parts`,
  }
}

export const controlPattern = `${prefix}*`

export function isControlKey(db: number, key: Buffer): boolean {
  // Asked for every command: the first byte nearly always tells.
  if (db !== 0 || key[0] !== prefixBytes[0]) return false
  return key.length > prefixBytes.length && prefixBytes.compare(key, 0, prefixBytes.length) === 0
}
