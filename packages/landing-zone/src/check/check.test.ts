import { beforeAll, describe, expect, test } from 'vitest'
import { buildApp } from '../stacks/environment.ts'
import { TemplateGraph } from '../template/template-graph.ts'
import { walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { checkTemplates, rules, violated } from './check.ts'

/** Goal: what we generate keeps our own rules, in every environment and phase. Method: the real templates. */
describe.each([
  ['production', 'replatform'],
  ['production', 'rehost'],
  ['staging', 'replatform'],
  ['staging', 'rehost'],
] as const)('%s, %s', (environment, phase) => {
  const blueprint = walletBlueprint(environment, phase)
  let graph: TemplateGraph
  beforeAll(() => {
    graph = TemplateGraph.of(buildApp(blueprint).synth())
  })

  test('violates no rule', () => {
    expect(violated(checkTemplates(graph, blueprint)).map(({ rule, violations }) => ({ rule, violations }))).toEqual([])
  })
})

test('rules have names of their own', () => {
  expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length)
})
