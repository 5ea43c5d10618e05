import { type Difference, differencesOf } from '@replatform/landing-zone/environments/differences'
import { compareEnvironments } from '@replatform/landing-zone/environments/every-environment'
import type { Exit } from '../exit-codes.ts'
import { renderFindings } from '../findings-view.ts'
import type { Invocation } from '../invocation.ts'
import type { Style } from '../style.ts'
import { wrap } from '../text-cells.ts'
import type { VerbOptions } from '../verb.ts'
import { chosen, withScratch } from './environment.ts'

/** Says in what environments differ, and refuses where they share what must be each one's own. */
export function run(invocation: Invocation, options: VerbOptions): Promise<Exit> {
  const { phase } = chosen(options)
  return withScratch((outdir) => {
    const { blueprints, shared, findings } = compareEnvironments(invocation.estate, { phase, outdir })
    const differences = differencesOf(blueprints)
    const environments = blueprints.map(({ environment }) => environment)
    invocation.result({ phase, environments, differences, shared, findings }, (style) => [
      ...differences.flatMap((difference) => render(difference, style)),
      '',
      ...(shared.length === 0
        ? [`${environments.join(', ')} share no account’s names, rights, networks, domains or keys.`]
        : []),
      ...renderFindings(findings, style),
    ])
    return shared.length > 0 ? 'refused' : 'ok'
  })
}

function render({ aspect, values }: Difference, { colors, columns }: Style): string[] {
  const lines = Object.entries(values).flatMap(([environment, value]) =>
    wrap(`${environment}: ${value}`, columns - 4).map((text) => `    ${text}`),
  )
  return [colors.bold(aspect), ...lines]
}
