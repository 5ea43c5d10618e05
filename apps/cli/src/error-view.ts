import type { ReplatformError } from '@replatform/core/errors'
import { framesOf } from './error-description.ts'
import type { Style } from './style.ts'
import { wrap } from './text-cells.ts'

const labelWidth = 11

/** What happened, what is untouched, what to do next; never a stack, which is asked for with --verbose. */
export function renderError(error: ReplatformError, { colors, columns }: Style): string[] {
  const labelled = (label: string, text: string) =>
    wrap(text, columns - labelWidth).map((line, index) => {
      return `${index === 0 ? colors.dim(label.padEnd(labelWidth)) : ' '.repeat(labelWidth)}${line}`
    })
  // Lines of estate.invalid are places in a file: breaking them would keep terminals from linking to them.
  const message = error.code === 'estate.invalid' ? error.message.split('\n') : wrap(error.message, columns)
  return [
    `${colors.red('error')} ${colors.bold(error.code)}`,
    ...message,
    ...labelled('untouched', error.untouched),
    ...labelled('next', error.next),
  ]
}

/** For --verbose: where an error and its causes come from. Of foreign errors no message, since drivers quote rows. */
export function renderStacks(error: unknown): string {
  const blocks: string[] = []
  for (let current = error; current instanceof Error && blocks.length < 5; current = current.cause) {
    const { code } = current as NodeJS.ErrnoException
    blocks.push([[current.name, code].filter(Boolean).join(' '), ...framesOf(current)].join('\n    '))
  }
  return blocks.join('\ncaused by ')
}
