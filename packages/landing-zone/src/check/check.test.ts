import { beforeAll, describe, expect, test } from 'vitest'
import { proveReachability } from '../reach/prove.ts'
import type { TemplateGraph } from '../template/template-graph.ts'
import { graphOf } from '../test-fixtures/graph-of.ts'
import { guarded, patienceMs, walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { checkTemplates, rules, violated } from './check.ts'
import { pciRequirements } from './pci-requirements.ts'

/** Goal: what we generate keeps our own rules and opens nothing unasked. Method: the real templates, all of them. */
describe.each([
  ['production', 'rehost', 'as it is'],
  ['production', 'transition', 'as it is'],
  ['production', 'replatform', 'with a firewall'],
  ['staging', 'rehost', 'with a firewall'],
  ['staging', 'replatform', 'as it is'],
] as const)('%s, %s, %s', (environment, phase, form) => {
  const blueprint = walletBlueprint({
    environment,
    phase,
    change: (zone) => (form === 'with a firewall' ? guarded(zone) : zone),
  })
  let graph: TemplateGraph
  beforeAll(() => {
    graph = graphOf(blueprint)
  }, patienceMs)

  test('breaks no rule', () => {
    expect(violated(checkTemplates(graph, blueprint)).map(({ rule, violations }) => ({ rule, violations }))).toEqual([])
  })

  test('opens what was asked for and nothing else', () => {
    const { wanted, unasked, closed, denied } = proveReachability(graph, blueprint)
    expect({ unasked, closed }).toEqual({ unasked: [], closed: [] })
    expect(wanted.length).toBeGreaterThan(20)
    expect(denied.length).toBeGreaterThan(wanted.length)
  })

  test('says of each resource which requirement it serves', () => {
    expect(graph.resources.filter(({ serves }) => serves.length === 0)).toEqual([])
  })
})

test('rules have names of their own', () => {
  expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length)
})

test('every requirement that a rule names is described', () => {
  const described = pciRequirements.map(({ id }) => id)
  expect(rules.flatMap(({ pci }) => pci).filter((id) => !described.includes(id))).toEqual([])
})
