import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { drawDataFlow } from '@replatform/landing-zone/diagram/data-flow-picture'
import { drawEnvironment } from '@replatform/landing-zone/diagram/diagram'
import { requireBlueprint } from '@replatform/landing-zone/environment-templates'
import type { Exit } from '../exit-codes.ts'
import type { Invocation } from '../invocation.ts'
import type { VerbOptions } from '../verb.ts'
import { chosen, phaseNamed, withTemplates } from './environment.ts'

/** One SVG; with `--against` a phase, the picture of the change; with `--data-flow` who sends what to whom. */
export function run(invocation: Invocation, options: VerbOptions): Promise<Exit> {
  const which = chosen(options)
  const { against } = options
  if (options.dataFlow) return dataFlow(invocation, options)
  return withTemplates(invocation, which, async ({ graph, blueprint }): Promise<Exit> => {
    const before =
      against === undefined
        ? undefined
        : await withTemplates(invocation, { ...which, phase: phaseNamed(against) }, (earlier) => earlier.graph)
    const file = resolve(invocation.io.cwd, options.out ?? `${which.environment}-${which.phase}.svg`)
    writeFileSync(file, drawEnvironment(graph, blueprint, before))
    invocation.result({ ...which, ...(against ? { against } : {}), file }, () => [`Drawn to ${file}.`])
    return 'ok'
  })
}

async function dataFlow(invocation: Invocation, options: VerbOptions): Promise<Exit> {
  const { environment, phase } = chosen(options)
  const { blueprint } = requireBlueprint(invocation.estate, environment, phase)
  const file = resolve(invocation.io.cwd, options.out ?? `${environment}-${phase}-data-flow.svg`)
  writeFileSync(file, await drawDataFlow(blueprint))
  invocation.result({ environment, phase, file }, () => [`Drawn to ${file}.`])
  return 'ok'
}
