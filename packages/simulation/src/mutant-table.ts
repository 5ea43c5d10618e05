import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Mutant, mutants } from './mutants.ts'
import type { Campaign } from './simulate.ts'

const main = fileURLToPath(new URL('./main.ts', import.meta.url))

/** Simulates a mutant in a process of its own, until it is found or the seeds are used up. */
export async function hunt({ name }: Mutant, seeds: number): Promise<Campaign> {
  const args = [main, '--mutant', name, '--seeds', String(seeds), '--json']
  const { stdout } = await promisify(execFile)(process.execPath, args).catch((thrown) => {
    if (thrown.code === 1 && thrown.stdout) return thrown as { stdout: string }
    throw thrown
  })
  return JSON.parse(stdout)
}

/** A Markdown table of every mutant: which invariant found it, and how soon. */
export async function printMutantTable(seeds: number): Promise<void> {
  process.stdout.write('| Mutant | Mistake | Found by | Schedules | Steps in all |\n|---|---|---|---|---|\n')
  for (const mutant of mutants) {
    const { failure, seeds: tried, steps } = await hunt(mutant, seeds)
    const found = failure?.violation ? failure.violation.invariant : '**not found**'
    process.stdout.write(`| ${mutant.name} | ${mutant.mistake} | ${found} | ${tried} | ${steps} |\n`)
    if (!failure) process.exitCode = 1
  }
}
