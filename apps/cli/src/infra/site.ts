import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import { requireBlueprint } from '@replatform/landing-zone/environment-templates'
import { siteFiles } from '@replatform/landing-zone/site/site-files'
import type { Exit } from '../exit-codes.ts'
import type { Invocation } from '../invocation.ts'
import type { VerbOptions } from '../verb.ts'
import { chosen } from './environment.ts'

/** Writes what the old site's routers need, to a folder that is new or empty: an edited file is never overwritten. */
export async function run(invocation: Invocation, options: VerbOptions): Promise<Exit> {
  const { environment, phase } = chosen(options)
  const { blueprint } = requireBlueprint(invocation.estate, environment, phase)
  const folder = resolve(invocation.io.cwd, options.out ?? `site-${environment}`)
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new ReplatformError('landing-zone.output-refused', { message: `${folder} holds something already.` })
  }
  const files = siteFiles(blueprint)
  for (const { name, text } of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  invocation.result({ environment, folder, files: files.map(({ name }) => name) }, () => [
    ...files.map(({ name }) => join(folder, name)),
    '',
    files.length === 0
      ? 'The estate has no old site.'
      : 'After deployment put in the outside addresses that AWS chose; keys belong in a file of their own: docs/30-landing-zone.md.',
  ])
  return 'ok'
}
