import { join, resolve } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import {
  assemblyIn,
  type ChangedResource,
  destructive,
  diffTemplates,
} from '@replatform/landing-zone/diff/template-diff'
import { templatesOf } from '@replatform/landing-zone/environment-templates'
import type { Exit } from '../exit-codes.ts'
import type { Invocation } from '../invocation.ts'
import type { Style } from '../style.ts'
import type { VerbOptions } from '../verb.ts'
import { chosen, isPhase, withTemplates } from './environment.ts'

/** From `--against` to `--phase`: what comes, changes and goes, and what stands there no more afterwards. */
export function run(invocation: Invocation, options: VerbOptions): Promise<Exit> {
  const which = chosen(options)
  const { against = 'rehost' } = options
  return withTemplates(invocation, which, (after, outdir) => {
    const before = isPhase(against)
      ? templatesOf(invocation.estate, { ...which, phase: against, outdir: join(outdir, 'before') }).assembly
      : earlier(resolve(invocation.io.cwd, against))
    const changes = diffTemplates(before, after.assembly)
    const lost = destructive(changes)
    invocation.result({ ...which, against, changes, destructive: lost.length }, (style) => render(changes, lost, style))
    return 'ok'
  })
}

function earlier(folder: string) {
  try {
    return assemblyIn(folder)
  } catch (cause) {
    throw new ReplatformError('usage', { message: `${folder} holds no templates that an earlier synth wrote.`, cause })
  }
}

function render(changes: readonly ChangedResource[], lost: readonly ChangedResource[], { colors }: Style): string[] {
  if (changes.length === 0) return ['Nothing changes.']
  const marks = { added: colors.green('+'), removed: colors.red('-'), changed: colors.yellow('~') }
  const lines = changes.map(({ stack, logicalId, type, change, impact, properties }) => {
    const detail = properties.length > 0 ? ` (${properties.join(', ')})` : ''
    const warning = lost.some((one) => one.logicalId === logicalId && one.stack === stack)
      ? colors.red(` ${impact}`)
      : ''
    return `${marks[change]} ${stack}.${logicalId}  ${colors.dim(type)}${detail}${warning}`
  })
  const count = (change: ChangedResource['change']) => changes.filter((one) => one.change === change).length
  return [
    ...lines,
    '',
    `${count('added')} come, ${count('changed')} change, ${count('removed')} go; ${lost.length} of what stands there is replaced or deleted.`,
  ]
}
