/**
 * What payments feel of a wave: two databases behind PgBouncer and a gateway go over and back in turn, undisturbed. The
 * gap is the longest time between two acknowledgements of a payer that pays without a pause.
 */
import { moves, WaveStage, wave } from '@replatform/cli/test-fixtures/wave-stage'
import { feelCutovers, figuresOf } from './felt-cutovers.ts'
import type { SoakOptions } from './soak.ts'

export async function soakPauses(options: SoakOptions): Promise<object> {
  await using stage = await WaveStage.open()
  const felt = await feelCutovers(
    {
      rig: stage.rig,
      wave,
      moves,
      paysOn: () => stage.paysOn(),
      takeLongestGapMs: () => stage.takeLongestGapMs(),
      reach: (state) => stage.reach(state),
    },
    options,
  )
  return figuresOf(felt)
}
