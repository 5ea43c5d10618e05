/** Progress where there is no terminal: a line for each change, and for mere progress at most one in two seconds. */
import type { EstateStatus, LoadStatus, MoveStatus, Operation } from '@replatform/control/api-types'
import { subjectOf } from '@replatform/control/operation-subject'
import { formatBytes, formatCount, formatDuration, percent } from './quantities.ts'
import { summarizeCutover } from './steps-view.ts'
import { plain } from './text-cells.ts'

const leastPauseMs = 2_000

export class ProgressLines {
  readonly #said = new Map<string, string>()
  readonly #lastAtMs = new Map<string, number>()

  /** What is new since the last call. `nowMs` by a clock that only grows. */
  take(status: EstateStatus, operation: Operation | null, nowMs: number): string[] {
    const moves = status.moves.flatMap((move) => this.#ofMove(move, nowMs))
    const steps = operation ? this.#ofOperation(operation) : []
    return [...steps, ...moves].map(plain)
  }

  #ofMove(move: MoveStatus, nowMs: number): string[] {
    const { name, state, paused, lastCutover } = move
    const outcome = lastCutover && lastCutover.outcome !== 'undecided' ? summarizeCutover(lastCutover) : ''
    const verb = lastCutover?.direction === 'reverse' ? 'rollback' : 'cutover'
    return [
      ...this.#ifNew(`${name} state`, state, `${name}: ${state}`),
      ...this.#ifNew(`${name} cutover`, outcome && `${lastCutover?.id} ${outcome}`, `${name}: ${verb} ${outcome}`),
      ...this.#ifNew(`${name} paused`, paused ? paused.reason : '', `${name}: paused: ${paused?.reason}`),
      ...this.#nowAndThen(name, progressOf(move), nowMs),
    ]
  }

  #ofOperation(operation: Operation): string[] {
    const { id, verb, steps } = operation
    return steps.flatMap(({ name, state, ms }) => {
      if (state !== 'done' && state !== 'failed') return []
      const time = ms === null ? '' : ` in ${formatDuration(ms)}`
      return this.#ifNew(`${id} ${name}`, state, `${subjectOf(operation)}: ${verb}: ${name} ${state}${time}`)
    })
  }

  #ifNew(key: string, value: string, line: string): string[] {
    if ((this.#said.get(key) ?? '') === value) return []
    this.#said.set(key, value)
    return value === '' ? [] : [line]
  }

  #nowAndThen(name: string, progress: string, nowMs: number): string[] {
    if (nowMs - (this.#lastAtMs.get(name) ?? Number.NEGATIVE_INFINITY) < leastPauseMs) return []
    const lines = this.#ifNew(`${name} progress`, progress, `${name}: ${progress}`)
    if (lines.length > 0) this.#lastAtMs.set(name, nowMs)
    return lines
  }
}

function progressOf(move: MoveStatus): string {
  const { state, direction, step, load, follow } = move
  const parts: string[] = []
  if (load && (state === 'loading' || state === 'prepared')) parts.push(loadProgress(load))
  if (follow && direction) {
    const { lagMs, lagBytes, rowsPerSecond, bytesPerSecond } = follow
    parts.push(`lag ${formatDuration(lagMs)} and ${formatBytes(lagBytes)}`)
    parts.push(`${formatCount(rowsPerSecond)} rows/s`, `${formatBytes(bytesPerSecond)}/s`)
  }
  if (step) parts.push(step)
  return parts.join(', ')
}

function loadProgress({ groups, rowsPerSecond, bytesPerSecond, etaSeconds }: LoadStatus): string {
  const done = groups.reduce((sum, { loaded }) => sum + loaded.bytes, 0)
  const all = groups.reduce((sum, { bytes, loaded }) => sum + Math.max(bytes, loaded.bytes), 0)
  const rows = groups.reduce((sum, { loaded }) => sum + loaded.rows, 0)
  const eta = etaSeconds === null ? '' : `, ETA ${formatDuration(etaSeconds * 1_000)}`
  const rates = `${formatCount(rowsPerSecond)} rows/s, ${formatBytes(bytesPerSecond)}/s`
  return `${percent(done, all)}%, ${formatCount(rows)} rows, ${formatBytes(done)}, ${rates}${eta}`
}
