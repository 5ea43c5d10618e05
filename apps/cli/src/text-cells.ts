import { stripVTControlCharacters } from 'node:util'
import stringWidth from 'string-width'

export type Align = 'left' | 'right'

/** Exactly `width` columns of a terminal: cut off with an ellipsis, or filled up with spaces. */
export function cell(text: string, width: number, align: Align = 'left'): string {
  const short = cut(text, width)
  const space = ' '.repeat(Math.max(0, width - stringWidth(short)))
  return align === 'left' ? short + space : space + short
}

/** At most `width` columns. Names come from databases, so control characters in them must not reach the terminal. */
export function cut(text: string, width: number): string {
  const clean = plain(text)
  if (stringWidth(clean) <= width) return clean
  let short = ''
  for (const letter of clean) {
    if (stringWidth(short + letter) > width - 1) break
    short += letter
  }
  return `${short}…`
}

/** One line without control characters. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is these that are taken out
  return stripVTControlCharacters(text).replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
}

/** Breaks a text between words into lines of at most `width` columns; its own line breaks stay. */
export function wrap(text: string, width: number): string[] {
  return text.split('\n').flatMap((paragraph) => wrapLine(plain(paragraph), width))
}

function wrapLine(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (line === '' || stringWidth(longer) <= width) line = longer
    else {
      lines.push(line)
      line = word
    }
  }
  return [...lines, line]
}

/** A bar of `width` columns, filled to eighths. */
export function bar(fraction: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, fraction)) * width * 8)
  const full = Math.floor(eighths / 8)
  const part = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8] ?? ''
  return ('█'.repeat(full) + part).padEnd(width, '░')
}
