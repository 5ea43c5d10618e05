import { Gauge, Registry } from 'prom-client'
import type { EstateStatus, MoveStatus } from './api-types.ts'

/** The same status that the API shows, in the form that Prometheus reads. Lag in seconds and bytes, rates a second. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #gauges: readonly {
    readonly gauge: Gauge<'move'>
    readonly value: (move: MoveStatus) => number | undefined
  }[]
  readonly #state: Gauge<'move' | 'state'>

  constructor() {
    this.#state = new Gauge({
      name: 'replatform_move_state',
      help: 'The state that a move is in, as a label; always 1.',
      labelNames: ['move', 'state'],
      registers: [this.#registry],
    })
    this.#gauges = [
      this.#gauge('lag_seconds', 'Age of the oldest change that is not on the target yet.', ({ follow }) =>
        follow ? follow.lagMs / 1_000 : undefined,
      ),
      this.#gauge('lag_bytes', 'What the source has written beyond the checkpoint.', ({ follow }) => follow?.lagBytes),
      this.#gauge('loaded_rows', 'Rows of the full load that are on the target.', (move) => loaded(move, 'rows')),
      this.#gauge('loaded_bytes', 'Bytes of the full load that are on the target.', (move) => loaded(move, 'bytes')),
      this.#gauge('followed_rows', 'Rows applied since this mover began to follow.', ({ follow }) => follow?.rows),
      this.#gauge('rows_per_second', 'Rows that reach the target, smoothed.', (move) =>
        move.follow ? move.follow.rowsPerSecond : move.load?.rowsPerSecond,
      ),
      this.#gauge('paused', 'Whether a person has to look.', ({ paused }) => (paused ? 1 : 0)),
      this.#gauge('mover_rss_bytes', 'Resident memory of the mover process.', ({ mover }) => mover?.rssBytes),
      this.#gauge('mover_restarts', 'How often the mover was started again.', ({ mover }) => mover?.restarts),
      this.#gauge('last_pause_seconds', 'Write pause of the last cutover or rollback.', ({ lastCutover }) =>
        lastCutover?.pauseMs == null ? undefined : lastCutover.pauseMs / 1_000,
      ),
    ]
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  async text({ moves }: EstateStatus): Promise<string> {
    this.#registry.resetMetrics()
    for (const move of moves) {
      this.#state.set({ move: move.name, state: move.state }, 1)
      for (const { gauge, value } of this.#gauges) {
        const current = value(move)
        if (current !== undefined) gauge.set({ move: move.name }, current)
      }
    }
    return this.#registry.metrics()
  }

  #gauge(name: string, help: string, value: (move: MoveStatus) => number | undefined) {
    const registers = [this.#registry]
    const gauge = new Gauge({ name: `replatform_move_${name}`, help, labelNames: ['move'] as const, registers })
    return { gauge, value }
  }
}

function loaded({ load }: MoveStatus, unit: 'rows' | 'bytes'): number | undefined {
  return load?.groups.reduce((total, group) => total + group.loaded[unit], 0)
}
