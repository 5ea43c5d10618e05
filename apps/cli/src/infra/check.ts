import { join } from 'node:path'
import type { Finding } from '@replatform/core/finding'
import { checkTemplates, type RuleResult, violated } from '@replatform/landing-zone/check/check'
import type { EnvironmentTemplates } from '@replatform/landing-zone/environment-templates'
import { compareEnvironments } from '@replatform/landing-zone/environments/every-environment'
import { proveReachability, reachabilityFindings } from '@replatform/landing-zone/reach/prove'
import type { Exit } from '../exit-codes.ts'
import { renderFindings } from '../findings-view.ts'
import type { Invocation } from '../invocation.ts'
import type { VerbOptions } from '../verb.ts'
import { chosen, withTemplates } from './environment.ts'

/** Refuses where a rule is broken, a way is open that nobody asked for, or one that somebody asked for is closed. */
export function run(invocation: Invocation, options: VerbOptions): Promise<Exit> {
  return withTemplates(invocation, chosen(options), (templates, outdir) => {
    const { blueprint, graph } = templates
    const results = checkTemplates(graph, blueprint)
    const proof = proveReachability(graph, blueprint)
    const { environment, phase } = blueprint
    const others = compareEnvironments(invocation.estate, { phase, outdir: join(outdir, 'others'), built: templates })
    const findings = [
      ...templates.findings,
      ...violated(results).map(asFinding),
      ...reachabilityFindings(proof),
      ...others.findings,
    ]
    const isRefused = findings.some(({ severity }) => severity === 'blocker')
    const ways = { wanted: proof.wanted, unasked: proof.unasked, closed: proof.closed, denied: proof.denied }
    invocation.result({ environment, phase, ok: !isRefused, findings, rules: results, ways }, (style) => [
      ...renderFindings(findings, style),
      '',
      summary(results, templates),
      `${proof.wanted.length} ways are open and asked for, ${proof.unasked.length} unasked, ${proof.closed.length} closed; ${proof.denied.length} others are denied.`,
      'This is evidence for controls, not compliance.',
    ])
    return isRefused ? 'refused' : 'ok'
  })
}

function asFinding({ rule, pci, wants, violations }: RuleResult): Finding {
  const source = pci.length > 0 ? ` (PCI-DSS 4.0.1: ${pci.join(', ')})` : ''
  return {
    id: `rule.${rule}`,
    severity: 'blocker',
    title: `${wants}${source}`,
    evidence: violations.slice(0, 10).map(({ at, what }) => `${at}: ${what}`),
    remedy: 'Change what the estate file says about it, or the construct that makes it.',
  }
}

function summary(results: readonly RuleResult[], { graph }: EnvironmentTemplates): string {
  const broken = violated(results).length
  return `${results.length - broken} of ${results.length} rules hold over ${graph.resources.length} resources.`
}
