/**
 * One move from its first chunk on: prepare, full load, indexes, follow. Knows no database and keeps no state of its
 * own: what was done stands on the target, so a new run after a crash goes on where the data says.
 */
import type { Chunk, FollowProgress, Loaded, LoadGroup, Mover } from '@replatform/core/connector'
import type { MoveState } from '@replatform/core/move'
import { type Clock, systemClock } from './clock.ts'
import { loadChunks } from './load-chunks.ts'
import type { MoverEvent } from './mover-protocol.ts'
import { type Limits, watchStrain } from './strain-watch.ts'
import type { Throttle } from './throttle.ts'

/** Below this lag a move counts as in sync; above ten times it, as catching up again. */
const inSyncLagMs = 1_000
/** Between two reports of what goes on by itself. */
const emitEveryMs = 200

export interface MoveRunOptions {
  readonly mover: Mover
  /** Where to begin; earlier stages are not repeated. */
  readonly state: MoveState
  readonly workers: number
  readonly throttle: Throttle
  /** Besides the throttle's own; none where nothing is said. */
  readonly limits?: () => Limits
  readonly signal: AbortSignal
  readonly emit: (event: MoverEvent) => void
  readonly clock?: Clock
}

/** Resolves when the signal ended it at a durable point; rejects with what stopped it. */
export async function runMove(options: MoveRunOptions): Promise<void> {
  const { mover, signal, emit } = options
  if (options.state === 'planned') {
    await mover.prepare({ load: true })
    emit({ event: 'state', state: 'prepared' })
  }
  if (signal.aborted) return
  if (options.state === 'planned' || options.state === 'prepared' || options.state === 'loading') {
    emit({ event: 'state', state: 'loading' })
    await load(options)
    if (signal.aborted) return
    await mover.finishLoad((step) => emit({ event: 'step', step }))
    emit({ event: 'state', state: 'catching-up' })
  }
  if (signal.aborted) return
  await follow(options)
}

async function load(options: MoveRunOptions): Promise<void> {
  const { mover, emit } = options
  const groups = await mover.groups()
  const progress = new LoadProgress(groups)
  emit({ event: 'load', groups: progress.groups() })
  const clock = options.clock ?? systemClock
  let emittedAt = clock.now()
  await using _ = watch(options, 'load')
  await loadChunks({
    ...options,
    report: (chunk, loaded, isDone) => {
      progress.take(chunk, loaded, isDone)
      const now = clock.now()
      if (!isDone && now - emittedAt < emitEveryMs) return
      emittedAt = now
      emit({ event: 'load', groups: progress.groups() })
    },
  })
}

async function follow(options: MoveRunOptions): Promise<void> {
  const { mover, signal, throttle, emit } = options
  const level = new LevelWatch(options.state === 'in-sync' ? 'in-sync' : 'catching-up')
  const followsForward = options.state !== 'reversing' && options.state !== 'rolled-back'
  let seenBytes = 0
  const emitter = new Paced(options.clock ?? systemClock, (progress: FollowProgress) => {
    emit({ event: 'follow', progress })
    const state = level.stateAt(progress.lagMs)
    if (state && followsForward) emit({ event: 'state', state })
  })
  await using _ = watch(options, 'follow')
  await mover.follow({
    signal,
    report: (progress) => emitter.offer(progress),
    throttle: async () => {
      const bytes = emitter.latest?.bytes ?? 0
      await throttle.spend(bytes - seenBytes, signal)
      seenBytes = bytes
    },
  })
}

function watch({ mover, throttle, limits, emit, clock = systemClock }: MoveRunOptions, stage: 'load' | 'follow') {
  const ended = new AbortController()
  const onHeld = (by: string | null) => emit({ event: 'held', by })
  const watching = limits && watchStrain({ mover, limits, throttle, stage, onHeld, clock, signal: ended.signal })
  return {
    async [Symbol.asyncDispose]() {
      ended.abort()
      await watching
    },
  }
}

class LoadProgress {
  readonly #groups: readonly LoadGroup[]
  readonly #loaded: Map<string, { chunks: number; rows: number; bytes: number }>
  readonly #inWork = new Map<string, Loaded>()

  constructor(groups: readonly LoadGroup[]) {
    this.#groups = groups
    this.#loaded = new Map(groups.map((group) => [group.name, { ...group.done }]))
  }

  /** `soFar` is the chunk's own sum, told once or again and again. */
  take(chunk: Chunk, soFar: Loaded, isDone: boolean): void {
    const loaded = this.#loaded.get(chunk.group)
    if (!loaded) return
    const before = this.#inWork.get(chunk.id) ?? { rows: 0, bytes: 0 }
    loaded.rows += soFar.rows - before.rows
    loaded.bytes += soFar.bytes - before.bytes
    if (!isDone) {
      this.#inWork.set(chunk.id, soFar)
      return
    }
    this.#inWork.delete(chunk.id)
    loaded.chunks += 1
  }

  groups() {
    return this.#groups.map((group) => ({ ...group, loaded: { ...(this.#loaded.get(group.name) ?? group.done) } }))
  }
}

class LevelWatch {
  #state: 'catching-up' | 'in-sync'

  constructor(state: 'catching-up' | 'in-sync') {
    this.#state = state
  }

  /** The new state when it changed, else undefined. */
  stateAt(lagMs: number): MoveState | undefined {
    const next = lagMs < inSyncLagMs ? 'in-sync' : lagMs > inSyncLagMs * 10 ? 'catching-up' : this.#state
    if (next === this.#state) return undefined
    this.#state = next
    return next
  }
}

/** Passes on at most five reports a second; what it holds back is replaced by the next. */
class Paced {
  latest: FollowProgress | undefined
  readonly #clock: Clock
  readonly #emit: (progress: FollowProgress) => void
  #emittedAt = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, emit: (progress: FollowProgress) => void) {
    this.#clock = clock
    this.#emit = emit
  }

  offer(progress: FollowProgress): void {
    this.latest = progress
    if (this.#clock.now() - this.#emittedAt < emitEveryMs) return
    this.#emittedAt = this.#clock.now()
    this.#emit(progress)
  }
}
