/** Cutovers and rollbacks of a wave in turn, undisturbed, and what payments feel of each. */
import type { CliRig } from '@replatform/cli/test-fixtures/cli-rig'
import type { CutoverStatus } from '@replatform/control/api-types'
import { pollUntil } from '@replatform/testkit/poll-until'
import type { SoakOptions } from './soak.ts'

export interface Felt {
  readonly gapMs: number
  readonly cutover: CutoverStatus
}

export interface FeltStage {
  readonly rig: CliRig
  readonly wave: string
  readonly moves: readonly string[]
  /** Until payments that were asked for from now on are acknowledged. */
  paysOn(): Promise<void>
  /** The longest that a payment waited since the last call. */
  takeLongestGapMs(): number
  /** Every move is in that state and follows. */
  reach(state: string): Promise<unknown>
}

export async function feelCutovers(stage: FeltStage, { cutovers, log }: SoakOptions): Promise<Felt[]> {
  const { rig, wave, moves } = stage
  await rig.worker()
  for (const move of moves) {
    await rig.run('start', move, '--until', 'in-sync')
    await rig.run('compare', move)
  }
  await rig.run('rehearse', wave)
  const felt: Felt[] = []
  for (let count = 1; count <= cutovers; count++) {
    const verb = count % 2 === 1 ? 'cutover' : 'rollback'
    await stage.paysOn()
    stage.takeLongestGapMs()
    const { id } = await rig.client.askWave(verb, wave, { actor: 'soak@rig' })
    const ended = async () => (await rig.client.operation(id)).state !== 'running'
    await pollUntil(`${verb} ends`, ended, { withinMs: 120_000, everyMs: 100 })
    await stage.paysOn()
    const gapMs = stage.takeLongestGapMs()
    const cutover = (await rig.client.status()).waves[0]?.lastCutover
    if (cutover?.outcome !== 'committed') throw new Error(`${verb} ${count} ended ${cutover?.outcome}`)
    felt.push({ gapMs, cutover })
    const { pauseMs, predictedMs } = cutover
    log(`${count} ${verb}: gap ${Math.round(gapMs)} ms, pause ${pauseMs} ms, predicted ${predictedMs} ms`)
    await stage.reach(verb === 'cutover' ? 'reversing' : 'rolled-back')
  }
  return felt
}

export function figuresOf(felt: readonly Felt[]): object {
  const gaps = felt.map(({ gapMs }) => gapMs).sort((a, b) => a - b)
  const steps = felt.flatMap(({ cutover }) => cutover.steps)
  const parts = [...new Set(steps.map(({ name }) => name))].map((name) => {
    const times = steps.filter((step) => step.name === name && step.ms !== null).map(({ ms }) => ms as number)
    return [`part ${name}`, `${Math.round(median(times))} ms`]
  })
  const ofGaps = (share: number) => `${Math.round(gaps[Math.ceil(share * gaps.length) - 1] ?? 0)} ms`
  const errors = felt.flatMap(({ cutover: { pauseMs, predictedMs } }) =>
    pauseMs && predictedMs ? [(100 * (pauseMs - predictedMs)) / predictedMs] : [],
  )
  return {
    'cutovers': felt.length,
    'gap median': ofGaps(0.5),
    'gap 95 %': ofGaps(0.95),
    'gap longest': ofGaps(1),
    'gaps of at most 2 s': gaps.filter((gap) => gap <= 2_000).length,
    'prediction off by (median)': `${Math.round(median(errors.map(Math.abs)))} %`,
    ...Object.fromEntries(parts),
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
