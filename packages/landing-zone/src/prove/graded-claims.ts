/** Every claim about an environment with what it rests on, so that nobody takes a template for a running system. */
import { rules } from '../check/check.ts'
import type { Blueprint } from '../plan/blueprint.ts'
import { claimsOf } from './claims.ts'

/**
 * `template-asserted`: a rule or a proof over the templates. `model-run`: the code itself in simulated time. `lab-run`:
 * real software on this machine. `needs-aws`: nothing here can show it. None of them is more than evidence.
 */
export type Grade = 'template-asserted' | 'model-run' | 'lab-run' | 'needs-aws'

export interface GradedClaim {
  readonly id: string
  readonly claim: string
  readonly grade: Grade
  /** The command that shows it, or would. */
  readonly shownBy: string
}

export function gradedClaimsOf(blueprint: Blueprint): GradedClaim[] {
  const check = `replatform infra check --environment ${blueprint.environment} --phase ${blueprint.phase}`
  return [
    ...rules.map(({ id, wants }) => ({ id, claim: wants, grade: 'template-asserted' as const, shownBy: check })),
    {
      id: 'reachability',
      claim: 'Every open way has a flow of the estate that asks for it, and every flow an open way.',
      grade: 'template-asserted',
      shownBy: check,
    },
    ...tried(blueprint),
    ...claimsOf(blueprint).map(({ id, claim, command }) => ({
      id,
      claim,
      grade: 'needs-aws' as const,
      shownBy: command,
    })),
  ]
}

function tried({ onPremises, phase }: Blueprint): GradedClaim[] {
  if (!onPremises) return []
  const tunnels: GradedClaim = {
    id: 'vpn.lab',
    claim: 'The routers of the old site bring both tunnels up, and routes move when one is lost and back again.',
    grade: 'lab-run',
    shownBy: 'npx vitest run packages/landing-zone/src/site/vpn.lab.test.ts',
  }
  const moves: GradedClaim = {
    id: 'moves.model',
    claim: 'Cutovers of the moves keep their promises under every fault of the model.',
    grade: 'model-run',
    shownBy: 'npm run simulate',
  }
  return phase === 'finalized' ? [tunnels] : [tunnels, moves]
}
