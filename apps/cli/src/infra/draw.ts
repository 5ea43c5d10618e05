import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { drawEnvironment } from '@replatform/landing-zone/diagram/diagram'
import type { Exit } from '../exit-codes.ts'
import type { Invocation } from '../invocation.ts'
import type { VerbOptions } from '../verb.ts'
import { chosen, phaseNamed, withTemplates } from './environment.ts'

/** One SVG; with `--against` a phase, the picture of the change. */
export function run(invocation: Invocation, options: VerbOptions): Promise<Exit> {
  const which = chosen(options)
  const { against } = options
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
