import { planWaves, type WavePlan } from '@replatform/core/wave-plan'
import type { Style } from '../style.ts'
import { wrap } from '../text-cells.ts'
import type { Verb } from '../verb.ts'

export const plan: Verb = {
  name: 'plan',
  summary: 'propose which moves cut over together',
  description:
    'Groups the moves by what the services of the estate file connect to, proposes waves by phase, and says where the waves of the file tear apart what a service shares. Reads the file only.',
  example: 'replatform plan',
  exits: ['ok', 'usage'],
  async run(invocation) {
    const { estate } = invocation
    // Loaded only now: the routes bring every connector along.
    const { describeRoute } = await import('../routes.ts')
    const found = planWaves(estate, (move) => describeRoute(estate.stores[move] as never).declares.pause)
    invocation.result(found, (style) => render(found, style))
    return 'ok'
  },
}

function render({ proposed, objections, unclaimed }: WavePlan, { colors, columns }: Style): string[] {
  const reasons = proposed.flatMap(({ name, because, trailing }) => [
    ...because.map((reason) => `${name}: ${reason}`),
    ...trailing.map((move) => `${name}: ${move} trails: it follows, and is switched once the wave is over`),
  ])
  return [
    ...objections.flatMap((objection) => wrap(`! ${objection}`, columns).map(colors.yellow)),
    ...(objections.length > 0 ? [''] : []),
    'waves:',
    ...proposed.map(({ name, phase, moves }) => `  - { name: ${name}, phase: ${phase}, moves: [${moves.join(', ')}] }`),
    '',
    ...reasons.flatMap((reason) => wrap(`- ${reason}`, columns)),
    ...(unclaimed.length > 0
      ? wrap(`- No service names ${unclaimed.join(', ')}: whether they stand alone is not known.`, columns)
      : []),
  ]
}
