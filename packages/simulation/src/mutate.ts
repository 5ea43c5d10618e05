import { registerHooks } from 'node:module'
import { type Mutant, mutants } from './mutants.ts'

/**
 * From here on the module that the mutant names is loaded with its mistake; call before anything imports it. Throws
 * when the mistake fits the code no longer, so that no mutant passes for one that was caught.
 */
export function loadMutant(name: string): Mutant {
  const mutant = mutants.find((known) => known.name === name)
  if (!mutant)
    throw new Error(`There is no mutant "${name}"; there are: ${mutants.map((known) => known.name).join(', ')}`)
  registerHooks({
    load: (url, context, nextLoad) => {
      const loaded = nextLoad(url, context)
      return url.endsWith(`/${mutant.file}`) ? { ...loaded, source: mutate(mutant, String(loaded.source)) } : loaded
    },
  })
  return mutant
}

export function mutate({ name, find, replace }: Mutant, source: string): string {
  const parts = source.split(find)
  if (parts.length !== 2) throw new Error(`The mutant "${name}" fits the code ${parts.length - 1} times, not once.`)
  return parts.join(replace)
}
