import type { Finding } from '@replatform/core/finding'
import type { Blueprint } from '../plan/blueprint.ts'
import { findingOn } from '../plan/finding-on.ts'
import { type Flow, flowsOf } from '../plan/flows.ts'
import type { TemplateGraph } from '../template/template-graph.ts'
import type { DeadEnd } from './route-tables.ts'
import { type DeniedWay, type OpenWay, solve, type Way } from './solver.ts'

export interface ProvedWay extends OpenWay {
  readonly reason: string
}

export interface ReachabilityProof {
  /** Open, and asked for. */
  readonly wanted: readonly ProvedWay[]
  /** Open, and nobody asked. */
  readonly unasked: readonly OpenWay[]
  /** Asked for, and closed, be it from one subnet only. */
  readonly closed: readonly (Flow & DeadEnd)[]
  /** Everything else: what denies it. */
  readonly denied: readonly DeniedWay[]
}

/** Holds what the templates open against what the estate asks for. `partners` of a flow are the internet by a way out. */
export function proveReachability(graph: TemplateGraph, blueprint: Blueprint): ReachabilityProof {
  const { settings, onPremises, s3PrefixList } = blueprint
  const { open, denied } = solve(graph, {
    siteNetworks: onPremises?.networks ?? [],
    ownNetwork: settings.network,
    account: settings.account,
    s3PrefixList,
  })
  const flows = new Map(flowsOf(blueprint).map((flow) => [keyOf(asWay(flow)), flow]))
  const asked = (way: Way) => flows.get(keyOf(way)) ?? flows.get(keyOf(atLarge(way)))
  const opened = new Map(open.map((way) => [keyOf(way), way]))
  const denials = new Map(denied.map((way) => [keyOf(way), way]))
  return {
    wanted: open.flatMap((way) => {
      const flow = asked(way)
      return flow ? [{ ...way, reason: flow.reason }] : []
    }),
    unasked: open.filter((way) => !asked(way)),
    closed: [...flows].flatMap(([key, flow]) => {
      const way = opened.get(key)
      if (way && !way.partly) return []
      const { because, at } = way?.partly ?? denials.get(key) ?? { because: 'there is no such place', at: '' }
      return [{ ...flow, because: way ? `${because}, in part` : because, at }]
    }),
    denied: denied.filter((way) => !opened.has(keyOf(way))),
  }
}

export function reachabilityFindings({ unasked, closed }: ReachabilityProof): Finding[] {
  return [
    ...findingOn(unasked.map(show), {
      id: 'landing-zone.path-unasked',
      severity: 'blocker',
      title: 'The templates open a way that nobody asked for.',
      remedy: 'Take the rule away, or describe the flow with its reason in estate.yaml.',
    }),
    ...findingOn(
      closed.map((flow) => `${show(flow)}: ${flow.because}${flow.at ? ` (${flow.at})` : ''}`),
      {
        id: 'landing-zone.path-closed',
        severity: 'blocker',
        title: 'A way that the estate asks for is closed.',
        remedy: 'Open it where the evidence says what refuses it.',
      },
    ),
  ]
}

function asWay({ from, to, port }: Flow): Way {
  return { from, to: to === 'partners' ? 'internet' : to, port }
}

/** A way to one address is asked for by a flow to any: where a service may call the internet, it may call a partner. */
function atLarge({ from, to, port }: Way): Way {
  const widened = (end: string) => (end.startsWith('partner:') ? 'internet' : end)
  return { from: widened(from), to: widened(to), port }
}

function keyOf({ from, to, port }: Way): string {
  return `${from} → ${to}:${port}`
}

function show(way: Way): string {
  return keyOf(way)
}
