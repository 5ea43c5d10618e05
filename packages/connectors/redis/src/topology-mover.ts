/**
 * Finds out at its first verb which form both sides have, and leaves everything to the mover for it: databases of one
 * server on each side, or slots that are spread over servers.
 */
import type {
  Barrier,
  Chunk,
  CompareOptions,
  Decision,
  FollowOptions,
  Loaded,
  Mover,
  OpenOptions,
} from '@replatform/core/connector'
import type { FenceLimits } from '@replatform/core/fence-order'
import type { Side } from '@replatform/core/move'
import { openConnection } from './connection.ts'
import { RedisMover } from './mover.ts'
import { mayReplicate } from './replication-right.ts'
import { ResyncMover } from './resync-mover.ts'
import { SlotMover } from './slot-mover.ts'
import { readTopology, type Topology } from './topology.ts'

export class TopologyMover implements Mover {
  readonly #open: OpenOptions
  #mover: Promise<Mover> | null = null

  constructor(open: OpenOptions) {
    this.#open = open
  }

  async assess() {
    return (await this.#found()).assess()
  }

  async prepare(options: { readonly load: boolean }) {
    return (await this.#found()).prepare(options)
  }

  async groups() {
    return (await this.#found()).groups()
  }

  async *chunks(): AsyncIterable<Chunk> {
    yield* (await this.#found()).chunks()
  }

  async load(chunk: Chunk, signal: AbortSignal, progress?: (soFar: Loaded) => Promise<void>) {
    return (await this.#found()).load(chunk, signal, progress)
  }

  async finishLoad(report: (step: string) => void) {
    return (await this.#found()).finishLoad(report)
  }

  async follow(options: FollowOptions) {
    return (await this.#found()).follow(options)
  }

  async strain(): Promise<null> {
    return null
  }

  async raiseEpoch() {
    return (await this.#found()).raiseEpoch()
  }

  async fence(side: Side, limits: FenceLimits) {
    return (await this.#found()).fence(side, limits)
  }

  async unfence(side: Side, turn: Pick<FenceLimits, 'turn'>) {
    return (await this.#found()).unfence(side, turn)
  }

  async barrier() {
    return (await this.#found()).barrier()
  }

  async remaining(barrier: Barrier) {
    return (await this.#found()).remaining(barrier)
  }

  async compare(options: CompareOptions) {
    return (await this.#found()).compare(options)
  }

  async settleAhead(options: { readonly pauseMs: number }) {
    return (await this.#found()).settleAhead(options)
  }

  async settle() {
    return (await this.#found()).settle()
  }

  async markStart() {
    return (await this.#found()).markStart()
  }

  async recordDecision(decision: Decision) {
    return (await this.#found()).recordDecision(decision)
  }

  async cleanUp(scope: 'stream' | 'everything') {
    return (await this.#found()).cleanUp(scope)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const mover = await this.#mover?.catch(() => null)
    await mover?.[Symbol.asyncDispose]()
  }

  /** Asked again after a failure: a server that does not answer now may do so later. */
  #found(): Promise<Mover> {
    this.#mover ??= this.#find().catch((thrown) => {
      this.#mover = null
      throw thrown
    })
    return this.#mover
  }

  async #find(): Promise<Mover> {
    const [source, target] = await Promise.all([this.#topology('source'), this.#topology('target')])
    const isCopied = this.#open.direction === 'reverse' || !(await allMayReplicate(source))
    if (isCopied) return new ResyncMover(this.#open)
    return source.isCluster || target.isCluster ? new SlotMover(this.#open) : new RedisMover(this.#open)
  }

  async #topology(side: Side): Promise<Topology> {
    const { url } = this.#open[side]
    await using connection = await openConnection({ url, side })
    return await readTopology(connection, url)
  }
}

async function allMayReplicate({ shards }: Topology): Promise<boolean> {
  for (const { url } of shards) {
    await using source = await openConnection({ url, side: 'source' })
    if (!(await mayReplicate(source))) return false
  }
  return true
}
