import { ReplatformError } from './errors.ts'
import type { Estate } from './estate.ts'
import { EstateDocument, type Path, type Problem } from './estate-document.ts'
import { complaintsAbout } from './estate-problems.ts'

const mostLines = 30

/**
 * Reads an estate file. Throws one `estate.invalid` that names all problems, a line each, as
 * `file:line:column path: what is wrong; what was probably meant`. No value of the file is ever quoted, except names
 * of moves: anything else could be a secret that stands there by mistake.
 */
export function parseEstate(text: string, file: string): Estate {
  const document = new EstateDocument(text)
  const problems = document.problems.length > 0 ? document.problems : schemaProblems(document)
  if (problems.length > 0) throw new ReplatformError('estate.invalid', { message: render(problems, file) })
  return document.value as Estate
}

function schemaProblems(document: EstateDocument): Problem[] {
  return complaintsAbout(document.value).map(({ path, at, message }) => ({
    ...document.placeOf(path, at),
    path,
    message,
  }))
}

function render(problems: readonly Problem[], file: string): string {
  const inOrder = problems.toSorted((a, b) => a.line - b.line || a.column - b.column)
  const lines = inOrder.slice(0, mostLines).map(({ line, column, path, message }) => {
    const where = path.length > 0 ? `${renderPath(path)}: ` : ''
    return `${file}:${line}:${column} ${where}${message}`
  })
  if (problems.length > mostLines) lines.push(`… and ${problems.length - mostLines} more`)
  return lines.join('\n')
}

function renderPath(path: Path): string {
  return path
    .map((step, depth) => (typeof step === 'number' ? `[${step}]` : `${depth > 0 ? '.' : ''}${key(step)}`))
    .join('')
}

/** `{url:postgres://…}` without a space makes the address a key, so only what looks like a key is shown. */
function key(step: string): string {
  return /^[\w-]{1,40}$/.test(step) ? step : '(a key that is not shown)'
}
