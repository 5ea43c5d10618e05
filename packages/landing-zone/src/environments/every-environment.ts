import { join } from 'node:path'
import type { Estate } from '@replatform/core/estate'
import type { Finding } from '@replatform/core/finding'
import { type EnvironmentTemplates, planned, templatesOf } from '../environment-templates.ts'
import type { Blueprint, Phase } from '../plan/blueprint.ts'
import { findingOn } from '../plan/finding-on.ts'
import { type Shared, separationFindings, sharedBetween } from './separation.ts'

export interface EveryEnvironment {
  readonly blueprints: readonly Blueprint[]
  readonly shared: readonly Shared[]
  /** What is shared, and which environments could not be compared since they cannot be built. */
  readonly findings: readonly Finding[]
}

interface EveryOptions {
  readonly phase: Phase
  /** A folder of its own; each environment's templates go into one of theirs. */
  readonly outdir: string
  /** Built already, and not built again. */
  readonly built?: EnvironmentTemplates
}

/** Builds every environment of the description in one phase and holds each against each. */
export function compareEnvironments(estate: Estate, { phase, outdir, built }: EveryOptions): EveryEnvironment {
  const names = Object.keys(estate.landingZone?.environments ?? {})
  const blocked = names.filter((name) => planned(estate, name, phase).blueprint === null)
  const templates = names
    .filter((name) => !blocked.includes(name))
    .map((name) =>
      name === built?.blueprint.environment
        ? built
        : templatesOf(estate, { environment: name, phase, outdir: join(outdir, name) }),
    )
  const pairs = templates.flatMap((one, index) => templates.slice(index + 1).map((other) => [one, other] as const))
  const shared = pairs.flatMap(([one, other]) => sharedBetween(one, other))
  return {
    blueprints: templates.map(({ blueprint }) => blueprint),
    shared,
    findings: [
      ...separationFindings(shared),
      ...findingOn(blocked, {
        id: 'landing-zone.environment-uncompared',
        severity: 'risk',
        title: 'An environment cannot be built, so nothing is known about what it would share.',
        remedy: 'Run check on it, and take its blockers away.',
      }),
    ],
  }
}
