/** Writes docs/openapi.json, the description of the control API. Run after a change of its routes or schemas. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { apiDocument } from '@replatform/control/api-document'

export const openapiUrl = new URL('../docs/openapi.json', import.meta.url)

/** In the form that `npm run check` expects of every file. */
export async function renderOpenapi(): Promise<string> {
  const biome = fileURLToPath(new URL('../node_modules/@biomejs/biome/bin/biome', import.meta.url))
  const options = { input: JSON.stringify(await apiDocument()), encoding: 'utf8' } as const
  return execFileSync(process.execPath, [biome, 'format', '--stdin-file-path=openapi.json'], options)
}

if (import.meta.main) writeFileSync(openapiUrl, await renderOpenapi())
