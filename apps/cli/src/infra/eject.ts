import { resolve } from 'node:path'
import { ejectedProject } from '@replatform/landing-zone/eject/ejected-project'
import { requireBlueprint } from '@replatform/landing-zone/environment-templates'
import type { Exit } from '../exit-codes.ts'
import { renderFindings } from '../findings-view.ts'
import type { Invocation } from '../invocation.ts'
import type { VerbOptions } from '../verb.ts'
import { chosen } from './environment.ts'
import { requireNewFolder, writeNewFolder } from './new-folder.ts'

/** Writes a CDK project that belongs to the user, to a folder that is new or empty. */
export async function run(invocation: Invocation, options: VerbOptions): Promise<Exit> {
  const which = chosen(options)
  const { estate } = invocation
  const folder = resolve(invocation.io.cwd, options.out ?? `${estate.estate}-landing-zone`)
  requireNewFolder(folder)
  const { blueprint, findings } = requireBlueprint(estate, which.environment, which.phase)
  const { landingZone } = estate
  const files = landingZone ? ejectedProject({ estate: blueprint.estate, landingZone, ...which }) : []
  writeNewFolder(folder, files)
  invocation.result({ ...which, folder, files: files.map(({ name }) => name), findings }, (style) => [
    ...renderFindings(findings, style),
    '',
    `${files.length} files are written to ${folder}; they are yours, and nothing of ours writes there again.`,
    `Begin with its README.md: npm install, npx cdk synth -c environment=${which.environment} -c phase=${which.phase}.`,
  ])
  return 'ok'
}
