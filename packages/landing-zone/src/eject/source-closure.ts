/** Source files of ours that an ejected project takes along: those that its stacks need, found by what they import. */
import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'

/** By path under `src`, such as `constructs/network.ts`; files of the core stand in `core`. */
export type Sources = ReadonlyMap<string, string>

const ours = new URL('../', import.meta.url)
/** The words of every import and re-export that stand behind `from`. */
const importPattern = /(?<=\bfrom )'([^']+)'/g

/** Reads the files, and all that they import of ours, with `replaced` applied to each import. */
export function sourceClosure(entries: readonly string[]): Map<string, string> {
  const sources = new Map<string, string>()
  const waiting = [...entries]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (sources.has(path)) continue
    const text = read(path)
    sources.set(path, text)
    for (const [, name] of text.matchAll(importPattern)) {
      const imported = pathOf(name as string, path)
      if (imported) waiting.push(imported)
    }
  }
  return sources
}

/** Every import of ours in a text, as `name` says it; those of other packages stay. */
export function withImports(text: string, path: string, name: (imported: string) => string): string {
  return text.replaceAll(importPattern, (whole, specifier: string) => {
    const imported = pathOf(specifier, path)
    return imported ? `'${name(imported)}'` : whole
  })
}

function pathOf(specifier: string, importer: string): string | null {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(importer), specifier)
  const core = /^@replatform\/core\/(.+)$/.exec(specifier)
  return core ? `core/${core[1]}.ts` : null
}

function read(path: string): string {
  const core = /^core\/(.+)\.ts$/.exec(path)
  const url = core ? import.meta.resolve(`@replatform/core/${core[1]}`) : new URL(path, ours).href
  return readFileSync(fileURLToPath(url), 'utf8')
}
