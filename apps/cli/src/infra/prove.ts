import { existsSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import { requireBlueprint } from '@replatform/landing-zone/environment-templates'
import { acceptanceScript } from '@replatform/landing-zone/prove/acceptance-script'
import { claimsOf } from '@replatform/landing-zone/prove/claims'
import { type GradedClaim, gradedClaimsOf } from '@replatform/landing-zone/prove/graded-claims'
import type { Exit } from '../exit-codes.ts'
import type { Invocation } from '../invocation.ts'
import type { VerbOptions } from '../verb.ts'
import { chosen } from './environment.ts'

/** Writes the script that proves in an account what the templates cannot show; calls nothing itself. */
export async function run(invocation: Invocation, options: VerbOptions): Promise<Exit> {
  const { environment, phase } = chosen(options)
  const { blueprint } = requireBlueprint(invocation.estate, environment, phase)
  const file = resolve(invocation.io.cwd, options.out ?? `acceptance-${environment}.sh`)
  if (existsSync(file)) throw new ReplatformError('landing-zone.output-refused', { message: `${file} exists already.` })
  writeFileSync(file, acceptanceScript(blueprint), { mode: 0o755 })
  const claims = claimsOf(blueprint)
  const graded = gradedClaimsOf(blueprint)
  invocation.result({ environment, phase, file, claims, graded }, () => [
    ...claims.map(({ id, claim, disturbs }) => `${id}${disturbs ? ' (disturbs)' : ''}: ${claim}`),
    '',
    ...grades(graded),
    '',
    `Written to ${file}. Nothing was called: run it in the account, with rights to read.`,
  ])
  return 'ok'
}

/** What each claim rests on; --json has them one by one. */
function grades(graded: readonly GradedClaim[]): string[] {
  const byGrade = Map.groupBy(graded, ({ grade }) => grade)
  return [...byGrade].map(([grade, claims]) => `${grade}: ${claims.length} claims, evidence and no more`)
}
