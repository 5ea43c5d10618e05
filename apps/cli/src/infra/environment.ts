/** What the actions of `infra` share: which environment and phase is meant, and its templates. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import { type EnvironmentTemplates, templatesOf } from '@replatform/landing-zone/environment-templates'
import { type Phase, phases } from '@replatform/landing-zone/plan/blueprint'
import type { Invocation } from '../invocation.ts'
import type { VerbOptions } from '../verb.ts'

export interface Chosen {
  readonly environment: string
  readonly phase: Phase
}

/** Throws `usage` for a phase that does not exist. */
export function chosen({ environment = 'production', phase = 'replatform' }: VerbOptions): Chosen {
  return { environment, phase: phaseNamed(phase) }
}

export function phaseNamed(text: string): Phase {
  if (isPhase(text)) return text
  throw new ReplatformError('usage', { message: `There is no phase "${text}"; there are: ${phases.join(', ')}.` })
}

export function isPhase(text: string): text is Phase {
  return (phases as readonly string[]).includes(text)
}

/** A folder of its own, which is gone afterwards. */
export async function withScratch<Result>(work: (folder: string) => Result | Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'replatform-infra-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Templates in a folder that is gone afterwards. */
export function withTemplates<Result>(
  invocation: Invocation,
  which: Chosen,
  work: (templates: EnvironmentTemplates, outdir: string) => Result | Promise<Result>,
): Promise<Result> {
  return withScratch((outdir) =>
    work(templatesOf(invocation.estate, { ...which, outdir: join(outdir, 'chosen') }), outdir),
  )
}

/** A folder that is empty, new, or was written by us. Throws `landing-zone.output-refused`. */
export function outputFolder(invocation: Invocation, out: string): string {
  const folder = resolve(invocation.io.cwd, out)
  if (!existsSync(folder)) return folder
  const holds = readdirSync(folder)
  if (holds.length === 0 || holds.includes('manifest.json')) return folder
  throw new ReplatformError('landing-zone.output-refused', { message: `${folder} holds something else.` })
}
