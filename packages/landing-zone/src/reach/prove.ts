import type { Finding } from '@replatform/core/finding'
import type { Blueprint } from '../plan/blueprint.ts'
import { findingOn } from '../plan/finding-on.ts'
import { type Flow, flowsOf } from '../plan/flows.ts'
import type { TemplateGraph } from '../template/template-graph.ts'
import { type DeniedWay, type OpenWay, solve, type Way } from './solver.ts'

export interface ProvedWay extends OpenWay {
  readonly reason: string
}

export interface ReachabilityProof {
  /** Open, and asked for. */
  readonly wanted: readonly ProvedWay[]
  /** Open, and nobody asked. */
  readonly unasked: readonly OpenWay[]
  /** Asked for, and closed. */
  readonly closed: readonly (Flow & { readonly because: string })[]
  /** Everything else: what denies it. */
  readonly denied: readonly DeniedWay[]
}

/** Holds what the templates open against what the estate asks for. `partners` of a flow are the internet by a way out. */
export function proveReachability(graph: TemplateGraph, blueprint: Blueprint): ReachabilityProof {
  const { open, denied } = solve(graph, blueprint.onPremises?.networks ?? [])
  const flows = new Map(flowsOf(blueprint).map((flow) => [keyOf(asWay(flow)), flow]))
  const isOpen = new Set(open.map(keyOf))
  const becauseOf = new Map(denied.map((way) => [keyOf(way), way.because]))
  return {
    wanted: open.flatMap((way) => {
      const flow = flows.get(keyOf(way))
      return flow ? [{ ...way, reason: flow.reason }] : []
    }),
    unasked: open.filter((way) => !flows.has(keyOf(way))),
    closed: [...flows]
      .filter(([key]) => !isOpen.has(key))
      .map(([key, flow]) => ({ ...flow, because: becauseOf.get(key) ?? 'there is no such place' })),
    denied: denied.filter((way) => !isOpen.has(keyOf(way))),
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
      closed.map((flow) => `${show(flow)}: ${flow.because}`),
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

function keyOf({ from, to, port }: Way): string {
  return `${from} → ${to}:${port}`
}

function show(way: Way): string {
  return keyOf(way)
}
