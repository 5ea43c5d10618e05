import { templatesOf } from '@replatform/landing-zone/environment-templates'
import type { Exit } from '../exit-codes.ts'
import { renderFindings } from '../findings-view.ts'
import type { Invocation } from '../invocation.ts'
import type { VerbOptions } from '../verb.ts'
import { chosen, outputFolder } from './environment.ts'

/** Writes the templates; nothing of them exists where a blocker stands. */
export async function run(invocation: Invocation, options: VerbOptions): Promise<Exit> {
  const which = chosen(options)
  const outdir = outputFolder(invocation, options.out ?? `landing-zone-${which.environment}-${which.phase}`)
  const { assembly, graph, findings } = templatesOf(invocation.estate, { ...which, outdir })
  const stacks = assembly.stacks.map(({ id, stackName, templateFile }) => ({
    name: stackName,
    file: templateFile,
    resources: graph.resources.filter(({ stack }) => stack === id).length,
  }))
  invocation.result({ ...which, folder: outdir, stacks, findings }, (style) => [
    ...renderFindings(findings, style),
    '',
    ...stacks.map(({ name, file, resources }) => `${name}: ${resources} resources in ${file}`),
    '',
    `Written to ${outdir}. Deploy in this order with your own tool, or: npx aws-cdk deploy --app ${outdir} --all`,
  ])
  return 'ok'
}
