/**
 * How a flow lies on the slots of its target. The target's slots are cut into *parts*: what one server of it answered
 * for when the flow was set up. Epoch and checkpoints of a part lie in its own first slot, so that they move with it,
 * are lost with it, and are written in one script with its data.
 */
import { ReplatformError } from '@replatform/core/errors'
import type { Side } from '@replatform/core/move'
import { type ControlKeys, controlKeys, type FlowKey } from './control-keys.ts'
import { keySlot, SlotSet, slotCount, tagOf } from './key-slot.ts'
import type { Shard, Topology } from './topology.ts'

export interface Part {
  readonly slots: SlotSet
  readonly url: string
}

export class SlotLayout {
  readonly flow: FlowKey
  readonly sources: readonly Shard[]
  readonly parts: readonly Part[]
  /** Either side is a cluster; otherwise both are one server with all its databases. */
  readonly isSpread: boolean
  /** Keys of the flow itself, which lie where they are whatever slots move. */
  readonly flowKeys: ControlKeys
  readonly #partOfSlot = new Uint16Array(slotCount)

  /** One server on each side, with all its databases. */
  static ofServers(flow: FlowKey, urls: Readonly<Record<Side, string>>): SlotLayout {
    const topology = (url: string) => ({ isCluster: false, shards: [{ slots: SlotSet.all, url, replicas: [] }] })
    return new SlotLayout(flow, topology(urls.source), topology(urls.target))
  }

  constructor(flow: FlowKey, source: Topology, target: Topology) {
    this.flow = flow
    this.sources = source.shards
    this.parts = target.shards
    this.isSpread = source.isCluster || target.isCluster
    this.flowKeys = controlKeys(flow)
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

  source(index: number): Shard {
    return this.sources[index] as Shard
  }

  part(index: number): Part {
    return this.parts[index] as Part
  }

  /** Of the target's server that a key of our own lies on. */
  urlOf(key: string): string {
    return this.part(this.partOf(Buffer.from(key))).url
  }

  sourceOf(key: Buffer): number {
    const slot = keySlot(key)
    return this.sources.findIndex(({ slots }) => slots.has(slot))
  }

  /** Parts that a shard of the source has keys for. */
  partsOf(source: number): number[] {
    const { slots } = this.source(source)
    return [...this.parts.keys()].filter((part) => this.part(part).slots.overlaps(slots))
  }

  /** The checkpoint among them belongs to one shard of the source. */
  keysOf(part: number, source = 0): ControlKeys {
    if (!this.isSpread) return this.flowKeys
    const { slots } = this.part(part)
    const base = this.#baseOf(slots.first)
    return {
      ...this.flowKeys,
      epoch: this.epochOf(slots.first),
      checkpoint: `${base}:${this.flow.direction}:checkpoint:${this.source(source).slots}`,
      decisions: `${base}:decisions`,
    }
  }

  /** The epoch of a part that begins with that slot. */
  epochOf(slot: number): string {
    return `${this.#baseOf(slot)}:${this.flow.direction}:epoch`
  }

  #baseOf(slot: number): string {
    return `replatform:{${tagOf(slot)}}:${this.flow.move}`
  }
}

export function slotsMoved(message: string): ReplatformError {
  return new ReplatformError('redis.slots-moved', { message })
}
