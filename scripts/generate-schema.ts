/** Writes schema/estate.schema.json, which editors check estate files with. Run after a change of the estate's types. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Estate } from '@replatform/core/estate'
import { type GeneratedFile, writeGenerated } from './generated-file.ts'

export const estateSchema: GeneratedFile = {
  url: new URL('../schema/estate.schema.json', import.meta.url),
  render: () =>
    formatted(
      JSON.stringify({
        $schema: 'http://json-schema.org/draft-07/schema#',
        $comment: 'Generated from packages/core/src/estate.ts by scripts/generate-schema.ts.',
        ...Estate,
      }),
    ),
}

/** In the form that `npm run check` expects of every file. */
function formatted(json: string): string {
  const biome = fileURLToPath(new URL('../node_modules/@biomejs/biome/bin/biome', import.meta.url))
  const options = { input: json, encoding: 'utf8' } as const
  return execFileSync(process.execPath, [biome, 'format', '--stdin-file-path=estate.schema.json'], options)
}

if (import.meta.main) writeGenerated(estateSchema)
