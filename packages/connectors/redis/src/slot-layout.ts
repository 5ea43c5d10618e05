/**
 * How a flow lies on the slots of its target. The target's slots are cut into *parts*: what one server of it answered
 * for when the flow was set up. Epoch and checkpoints of a part lie in its own first slot, so that they move with it,
 * are lost with it, and are written in one script with its data.
 */
import { ReplatformError } from '@replatform/core/errors'
import type { ControlKeys, FlowKey } from './control-keys.ts'
import { keySlot, type SlotSet, slotCount, tagOf } from './key-slot.ts'
import type { Shard, Topology } from './topology.ts'

export interface Part {
  readonly slots: SlotSet
  readonly url: string
}

export class SlotLayout {
  readonly flow: FlowKey
  readonly sources: readonly Shard[]
  readonly parts: readonly Part[]
  readonly #partOfSlot = new Uint16Array(slotCount)

  constructor(flow: FlowKey, source: Topology, target: Topology) {
    this.flow = flow
    this.sources = source.shards
    this.parts = target.shards
    for (const [index, { slots }] of this.parts.entries()) {
      for (const [from, to] of slots.ranges) this.#partOfSlot.fill(index, from, to + 1)
    }
  }

  partOfSlot(slot: number): number {
    return this.#partOfSlot[slot] as number
  }

  partOf(key: Buffer): number {
    return this.partOfSlot(keySlot(key))
  }

  sourceOf(key: Buffer): number {
    const slot = keySlot(key)
    return this.sources.findIndex(({ slots }) => slots.has(slot))
  }

  /** Parts that a shard of the source has keys for. */
  partsOf(source: number): number[] {
    const { slots } = this.sources[source] as Shard
    return [...this.parts.keys()].filter((part) => (this.parts[part] as Part).slots.overlaps(slots))
  }

  /** The checkpoint among them belongs to one shard of the source. */
  keysOf(part: number, source = 0): ControlKeys {
    const { slots } = this.parts[part] as Part
    const base = `replatform:{${tagOf(slots.first)}}:${this.flow.move}`
    return {
      epoch: `${base}:${this.flow.direction}:epoch`,
      checkpoint: `${base}:${this.flow.direction}:checkpoint:${(this.sources[source] as Shard).slots}`,
      decisions: `${base}:decisions`,
      notifications: `${base}:${this.flow.direction}:notifications`,
    }
  }
}

export function slotsMoved(message: string): ReplatformError {
  return new ReplatformError('redis.slots-moved', { message })
}
