import { join, resolve } from 'node:path'
import { requireBlueprint } from '@replatform/landing-zone/environment-templates'
import { siteFiles } from '@replatform/landing-zone/site/site-files'
import type { Exit } from '../exit-codes.ts'
import type { Invocation } from '../invocation.ts'
import type { VerbOptions } from '../verb.ts'
import { chosen } from './environment.ts'
import { writeNewFolder } from './new-folder.ts'

/** Writes what the old site's routers need, to a folder that is new or empty: an edited file is never overwritten. */
export async function run(invocation: Invocation, options: VerbOptions): Promise<Exit> {
  const { environment, phase } = chosen(options)
  const { blueprint } = requireBlueprint(invocation.estate, environment, phase)
  const folder = resolve(invocation.io.cwd, options.out ?? `site-${environment}`)
  const files = siteFiles(blueprint)
  writeNewFolder(folder, files)
  invocation.result({ environment, folder, files: files.map(({ name }) => name) }, () => [
    ...files.map(({ name }) => join(folder, name)),
    '',
    files.length === 0
      ? 'The estate has no old site.'
      : 'After deployment put in the outside addresses that AWS chose; keys belong in a file of their own: docs/30-landing-zone.md.',
  ])
  return 'ok'
}
