/** From the description of an estate to its templates: what every verb of `infra` begins with. */
import { ReplatformError } from '@replatform/core/errors'
import type { Estate } from '@replatform/core/estate'
import type { Finding } from '@replatform/core/finding'
import type { CloudAssembly } from 'aws-cdk-lib/cx-api'
import { type Blueprint, type Phase, plan } from './plan/blueprint.ts'
import { synthesize } from './stacks/environment.ts'
import { TemplateGraph } from './template/template-graph.ts'

export interface EnvironmentTemplates {
  readonly blueprint: Blueprint
  readonly findings: readonly Finding[]
  readonly assembly: CloudAssembly
  readonly graph: TemplateGraph
}

export interface TemplateOptions {
  readonly environment: string
  readonly phase: Phase
  /** Where the templates are written; a folder of its own. */
  readonly outdir: string
}

/** Throws `landing-zone.missing`, or `landing-zone.blocked` before anything is written. */
export function templatesOf(estate: Estate, { environment, phase, outdir }: TemplateOptions): EnvironmentTemplates {
  const { blueprint, findings } = requireBlueprint(estate, environment, phase)
  const assembly = synthesize(blueprint, outdir)
  return { blueprint, findings, assembly, graph: TemplateGraph.of(assembly) }
}

/** Throws `landing-zone.missing`. */
export function planned(estate: Estate, environment: string, phase: Phase) {
  const { landingZone } = estate
  if (landingZone) return plan({ estate: estate.estate, landingZone, environment, phase })
  throw new ReplatformError('landing-zone.missing', { message: 'The estate file has no landingZone.' })
}

/** As `planned`, for what cannot go on without a blueprint. Throws `landing-zone.blocked` as well. */
export function requireBlueprint(estate: Estate, environment: string, phase: Phase) {
  const { blueprint, findings } = planned(estate, environment, phase)
  if (blueprint) return { blueprint, findings }
  const blockers = findings.filter(({ severity }) => severity === 'blocker')
  const message = blockers.map(({ id, title, evidence }) => `${id}: ${title} ${evidence.join(', ')}`).join('\n')
  throw new ReplatformError('landing-zone.blocked', { message })
}
