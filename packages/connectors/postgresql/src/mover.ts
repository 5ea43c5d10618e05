/** The contract's verbs for PostgreSQL, each a few calls into the files that know how. */
import type {
  Barrier,
  Chunk,
  CompareOptions,
  Decision,
  FollowOptions,
  Loaded,
  LoadGroup,
  Mover,
  OpenOptions,
  Remaining,
  Strain,
} from '@replatform/core/connector'
import type { CompareReport } from '@replatform/core/difference'
import { invariant, ReplatformError } from '@replatform/core/errors'
import type { FenceLimits } from '@replatform/core/fence-order'
import type { Finding } from '@replatform/core/finding'
import type { Side } from '@replatform/core/move'
import { compareAligned } from './aligned-compare.ts'
import { assess } from './assess.ts'
import { readWalEnd, writeBarrier } from './change-stream.ts'
import { dropControlSchema, endStream } from './clean-up.ts'
import { forgetProgress } from './compare-progress.ts'
import { fenceSide, sweepFence, unfenceSide } from './fence.ts'
import { finishLoad } from './finish-load.ts'
import { type FlowKey, raiseEpoch, readFlow } from './flow-store.ts'
import { FullLoad } from './full-load.ts'
import { formatLsn, type Lsn, parseLsn } from './lsn.ts'
import { type FlowSession, openFollower } from './open-follower.ts'
import { beginSpool, deleteSpool } from './open-spool.ts'
import { toPostgresqlError } from './postgresql-error.ts'
import { type PrepareOptions, prepareLoad, prepareReturn } from './prepare.ts'
import { readTableFiles } from './schema-shape.ts'
import { copySequences } from './sequences.ts'
import { describe, type Session } from './session.ts'
import { SideSession } from './side-session.ts'
import { isSnapshotAlive, releaseSnapshot } from './snapshot-keeper.ts'
import { readSourceSystem } from './source-system.ts'
import type { SpooledStream } from './spooled-stream.ts'
import { StrainMeter } from './strain.ts'

/** Schema and slot may wait for other people's transactions; this is how long a fence outside a pause may take. */
const unhurriedMs = 60_000

export class PostgresqlMover implements Mover {
  readonly #open: OpenOptions
  readonly #key: FlowKey
  readonly #sides: Readonly<Record<Side, SideSession>>
  readonly #strain = new StrainMeter()
  #lookouts: Readonly<Record<Side, SideSession>> | null = null
  #epoch: bigint | null = null
  #load: FullLoad | null = null
  #following: FlowSession | null = null
  /** Receives while the load goes on. */
  #spooled: SpooledStream | null = null

  constructor(open: OpenOptions) {
    const { move, direction } = open
    this.#open = open
    this.#key = { move, direction }
    this.#sides = {
      source: new SideSession({ endpoint: open.source, side: 'source', move, role: 'control' }),
      target: new SideSession({ endpoint: open.target, side: 'target', move, role: 'control' }),
    }
  }

  assess(): Promise<Finding[]> {
    return assess(this.#open)
  }

  async prepare({ load }: { readonly load: boolean }): Promise<void> {
    await this.#onBoth(async (source, target) => {
      const options: PrepareOptions = {
        open: this.#open,
        key: this.#key,
        source,
        target,
        fenceTarget: () => this.#fence(target, { withinMs: unhurriedMs, turn: 0 }),
      }
      if (load) this.#epoch = await prepareLoad(options)
      else await prepareReturn(options)
    })
  }

  async groups(): Promise<LoadGroup[]> {
    const epoch = this.#epoch ?? (await this.#raise())
    const { source, target, workers, log } = this.#open
    await this.#load?.[Symbol.asyncDispose]()
    this.#load = new FullLoad({ key: this.#key, source, target, epoch, workers, log })
    const groups = await this.#load.groups()
    await this.#receive(epoch)
    return groups
  }

  chunks(): AsyncIterable<Chunk> {
    invariant(this.#load, 'Groups are read before chunks.')
    return this.#load.chunks()
  }

  load(chunk: Chunk, signal: AbortSignal): Promise<Loaded> {
    invariant(this.#load, 'Groups are read before chunks are loaded.')
    const failed = this.#spooled?.failed
    return this.#load.load(chunk, failed ? AbortSignal.any([signal, failed]) : signal)
  }

  async finishLoad(report: (step: string) => void): Promise<void> {
    await this.#load?.[Symbol.asyncDispose]()
    this.#load = null
    const { move } = this.#key
    const release = () => this.#sides.source.use((source) => releaseSnapshot(source, move))
    const flow = await this.#sides.target.use((target) => readFlow(target, this.#key))
    if (flow?.loadFinished) return release()
    const kept = flow?.snapshot ?? ''
    const isAlive = await this.#sides.source.use((source) => isSnapshotAlive(source, move, kept))
    await this.#sides.target.use((target) =>
      finishLoad({
        open: this.#open,
        key: this.#key,
        target,
        snapshot: isAlive ? kept : undefined,
        release,
        report,
        followUpTo: async (position) => {
          await this.#followUpTo(position)
          await this.#receive(this.#epoch ?? 0n)
        },
      }),
    )
  }

  async follow(options: FollowOptions): Promise<void> {
    if (this.#following) throw new ReplatformError('usage', { message: 'The mover follows already.' })
    const spooled = this.#spooled
    this.#spooled = null
    const session = await openFollower({ open: this.#open, key: this.#key, spooled }).catch(async (thrown) => {
      await spooled?.[Symbol.asyncDispose]()
      throw thrown
    })
    this.#following = session
    this.#epoch = session.epoch
    try {
      await session.follower.run(options)
    } catch (thrown) {
      throw toPostgresqlError(thrown, describe(this.#open.target.url, 'target'))
    } finally {
      this.#following = null
      await session[Symbol.asyncDispose]()
    }
  }

  /** In sessions of its own: the others may be in the middle of a long verb. */
  async strain(): Promise<Strain> {
    const { source, target, move } = this.#open
    this.#lookouts ??= {
      source: new SideSession({ endpoint: source, side: 'source', move, role: 'strain' }),
      target: new SideSession({ endpoint: target, side: 'target', move, role: 'strain' }),
    }
    const lookouts = this.#lookouts
    return lookouts.source.use((onSource) => lookouts.target.use((onTarget) => this.#strain.read(onSource, onTarget)))
  }

  async raiseEpoch(): Promise<void> {
    await this.#raise()
  }

  fence(side: Side, limits: FenceLimits): Promise<void> {
    return this.#sides[side].use((session) => this.#fence(session, limits))
  }

  unfence(side: Side, { turn }: Pick<FenceLimits, 'turn'>): Promise<void> {
    const { move } = this.#key
    return this.#sides[side].use((session) => unfenceSide({ session, move, turn }))
  }

  barrier(): Promise<Barrier> {
    return this.#sides.source.use(async (source) => {
      const { position, at } = await writeBarrier(source, this.#key)
      return { position: formatLsn(position), at }
    })
  }

  remaining(barrier: Barrier): Promise<Remaining> {
    return this.#sides.target.use(async (target) => {
      const flow = await readFlow(target, this.#key)
      const left = parseLsn(barrier.position) - (flow?.position ?? 0n)
      return { count: left > 0n ? Number(left) : 0, unit: 'bytes', exact: true }
    })
  }

  compare(options: CompareOptions): Promise<CompareReport> {
    return compareAligned({
      ...options,
      open: this.#open,
      key: this.#key,
      follower: this.#following?.follower ?? null,
    }).catch((thrown) => {
      throw toPostgresqlError(thrown, 'one of both sides')
    })
  }

  async settleAhead(): Promise<void> {}

  async settle(): Promise<void> {
    await this.#onBoth((source, target) => copySequences(source, target))
  }

  async markStart(): Promise<void> {
    await this.#onBoth(async (source, target) => {
      const mark = formatLsn(await readWalEnd(source))
      await target.query('BEGIN')
      await target.query(
        `UPDATE replatform.flow SET position = $3, compared_at = $3, source_system = $4, compared_files = $5,
           epoch = epoch + 1, load_finished = true WHERE move = $1 AND direction = $2`,
        [
          this.#key.move,
          this.#key.direction,
          mark,
          await readSourceSystem(source),
          JSON.stringify(await readTableFiles(source)),
        ],
      )
      await target.query('DELETE FROM replatform.changed WHERE move = $1 AND direction = $2', [
        this.#key.move,
        this.#key.direction,
      ])
      await forgetProgress(target, this.#key)
      await target.query('DELETE FROM replatform.table_start WHERE move = $1', [this.#key.move])
      await target.query('COMMIT')
    })
  }

  async recordDecision({ id, outcome, at }: Decision): Promise<void> {
    await this.#sides.target.use((target) =>
      target.query('INSERT INTO replatform.decision VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING', [
        id,
        outcome,
        at,
      ]),
    )
  }

  async cleanUp(scope: 'stream' | 'everything'): Promise<void> {
    await this.#endSpool()
    await this.#sides.source.use((source) => endStream(source, this.#key))
    await deleteSpool(this.#open.spool, this.#key)
    await this.#sides.target.use(sweepFence)
    if (scope === 'stream') return
    await this.#sides.source.use((session) => dropControlSchema(session, this.#key.move))
    await this.#sides.target.use((session) => dropControlSchema(session, this.#key.move))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#load?.[Symbol.asyncDispose]()
    await this.#endSpool()
    await this.#lookouts?.source[Symbol.asyncDispose]()
    await this.#lookouts?.target[Symbol.asyncDispose]()
    await this.#sides.source[Symbol.asyncDispose]()
    await this.#sides.target[Symbol.asyncDispose]()
  }

  async #followUpTo(position: Lsn): Promise<void> {
    const reached = new AbortController()
    await this.follow({
      signal: reached.signal,
      report: (progress) => {
        if (parseLsn(progress.position) >= position) reached.abort()
      },
      throttle: async () => {},
    })
  }

  /** The stream into the spool, where there is to be one, until somebody follows. */
  async #receive(epoch: bigint): Promise<void> {
    await this.#endSpool()
    this.#spooled = await beginSpool({ open: this.#open, key: this.#key, epoch })
  }

  async #endSpool(): Promise<void> {
    const spooled = this.#spooled
    this.#spooled = null
    await spooled?.[Symbol.asyncDispose]()
  }

  async #raise(): Promise<bigint> {
    const epoch = await this.#sides.target.use((target) => raiseEpoch(target, this.#key))
    this.#epoch = epoch
    return epoch
  }

  async #fence(session: Session, limits: FenceLimits): Promise<void> {
    const { tables } = this.#open.source
    await fenceSide({ session, move: this.#key.move, moverRole: await readRole(session), tables, ...limits })
  }

  #onBoth<T>(work: (source: Session, target: Session) => Promise<T>): Promise<T> {
    return this.#sides.source.use((source) => this.#sides.target.use((target) => work(source, target)))
  }
}

async function readRole(session: Session): Promise<string> {
  const { rows } = await session.query('SELECT session_user AS role')
  return (rows[0] as { role: string }).role
}
