import { planned } from '@replatform/landing-zone/environment-templates'
import { interfaceFindingIds } from '@replatform/landing-zone/plan/validate-interfaces'
import { type Interface, registerOf } from '@replatform/landing-zone/register/register'
import type { Exit } from '../exit-codes.ts'
import { renderFindings } from '../findings-view.ts'
import type { Invocation } from '../invocation.ts'
import type { Style } from '../style.ts'
import { wrap } from '../text-cells.ts'
import type { VerbOptions } from '../verb.ts'
import { chosen } from './environment.ts'

/** Lists every interface of the environment; refuses where the description has a blocker. */
export async function run(invocation: Invocation, options: VerbOptions): Promise<Exit> {
  const which = chosen(options)
  const { blueprint, findings } = planned(invocation.estate, which.environment, which.phase)
  if (!blueprint) {
    invocation.result({ ...which, findings }, (style) => renderFindings(findings, style))
    return 'refused'
  }
  const interfaces = registerOf(blueprint)
  const undeclared = findings.filter(({ id }) => interfaceFindingIds.includes(id))
  invocation.result({ ...which, interfaces, findings: undeclared }, (style) => [
    ...interfaces.flatMap((one) => render(one, style)),
    ...renderFindings(undeclared, style),
  ])
  return 'ok'
}

function render(one: Interface, { colors, columns }: Style): string[] {
  const { at, port, kind, from, owner, authentication, encryption, cardData, reasons, alarm } = one
  const lines = [
    ...from.map((party, index) => `from ${party}: ${reasons[index]}`),
    `owner: ${owner ?? 'nobody named'}`,
    `authentication: ${authentication}`,
    `encryption: ${encryption}`,
    `card data: ${cardData}`,
    `alarm: ${alarm}`,
  ]
  return [
    colors.bold(`${at}:${port} (${kind})`),
    ...lines.flatMap((line) => wrap(line, columns - 2).map((text) => `  ${text}`)),
    '',
  ]
}
