import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import { type Choice, choicesOf } from '@replatform/landing-zone/cost/choices'
import { dollars } from '@replatform/landing-zone/cost/dollars'
import { type Explanation, explain } from '@replatform/landing-zone/cost/explain'
import { Prices } from '@replatform/landing-zone/cost/price-file'
import { shippedPrices } from '@replatform/landing-zone/cost/shipped-prices'
import type { Exit } from '../exit-codes.ts'
import { renderFindings } from '../findings-view.ts'
import type { Invocation } from '../invocation.ts'
import type { Style } from '../style.ts'
import { cell, wrap } from '../text-cells.ts'
import type { VerbOptions } from '../verb.ts'
import { chosen, withTemplates } from './environment.ts'

export function run(invocation: Invocation, options: VerbOptions): Promise<Exit> {
  const prices = options.prices === undefined ? shippedPrices() : pricesIn(resolve(invocation.io.cwd, options.prices))
  return withTemplates(invocation, chosen(options), ({ graph, blueprint, findings }) => {
    const explanation = explain(graph, blueprint, prices)
    const choices = choicesOf(blueprint, graph, prices)
    const all = [...findings, ...prices.findings(new Date())]
    invocation.result({ ...explanation, choices, findings: all }, (style) => [
      ...tree(explanation, style),
      '',
      ...choices.flatMap((choice) => chosenOrNot(choice, style)),
      '',
      ...renderFindings(all, style),
    ])
    return 'ok'
  })
}

function pricesIn(file: string): Prices {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new ReplatformError('landing-zone.prices-invalid', { message: `${file} cannot be read.`, cause })
  }
  return Prices.parse(text, file)
}

function tree({ requirements, monthlyMicroUsd, unpriced, environment, phase }: Explanation, style: Style): string[] {
  const { colors, columns } = style
  const lines = requirements.flatMap(({ id, need, resources, monthlyMicroUsd: cost }) => {
    const open = resources.filter(({ monthlyMicroUsd: known }) => known === null).length
    const price = `${dollars(cost)}${open > 0 ? ` + ${open} unpriced` : ''}`
    return [
      `${cell(id, 28)} ${cell(`${resources.length}`, 4, 'right')} ${cell(price, 26, 'right')}`,
      ...wrap(need, columns - 4).map((text) => colors.dim(`    ${text}`)),
    ]
  })
  return [
    colors.bold(`${environment}, phase ${phase}: requirement, resources, USD a month`),
    ...lines,
    '',
    `${dollars(monthlyMicroUsd)} a month for what has a price, before what is billed by use.`,
    ...(unpriced.length > 0 ? wrap(`Unpriced, which is not zero: ${unpriced.join(', ')}.`, columns) : []),
  ]
}

function chosenOrNot(choice: Choice, { colors, columns }: Style): string[] {
  const { what, isBuilt, requirement, why, breakEven, figures, unpriced } = choice
  const inFigures = figures ?? `In figures: unpriced, which is not zero (${unpriced.join(', ')}).`
  return [
    `${colors.bold(isBuilt ? 'built' : 'left out')}  ${what}`,
    ...wrap(requirement === null ? why : `${why} It serves: ${requirement}`, columns - 4).map((text) => `    ${text}`),
    ...wrap(`It pays: ${breakEven}`, columns - 4).map((text) => colors.dim(`    ${text}`)),
    ...wrap(inFigures, columns - 4).map((text) => colors.dim(`    ${text}`)),
  ]
}
