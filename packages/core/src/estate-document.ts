/** The text of an estate file as YAML, with the place of every node, so that a problem can name its line. */
import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml'

export type Path = readonly (string | number)[]

export interface Problem {
  readonly line: number
  readonly column: number
  readonly path: Path
  /** What is wrong and what was expected. Holds keys and names, never a value: it could be a secret. */
  readonly message: string
}

/** Far above any estate, far below what would keep the parser busy. */
const mostBytes = 256 * 1024

export class EstateDocument {
  /** What kept the text from being read as YAML; then `value` is undefined. */
  readonly problems: readonly Problem[]
  readonly value: unknown
  readonly #document: Document | null
  readonly #lines = new LineCounter()

  constructor(text: string) {
    const unreadable = unreadableBecause(text)
    if (unreadable) {
      this.#document = null
      this.problems = [{ line: 1, column: 1, path: [], message: unreadable }]
      return
    }
    try {
      // Its own messages and its check of duplicate keys are not used: the first quote the text, the second is quadratic.
      this.#document = parseDocument(text, {
        lineCounter: this.#lines,
        prettyErrors: false,
        uniqueKeys: false,
        stringKeys: true,
        logLevel: 'error',
      })
      this.problems = [...this.#syntaxProblems(), ...this.#duplicateKeys(), ...this.#aliasesOfNothing()]
      if (this.problems.length === 0) this.value = this.#document.toJS({ maxAliasCount: 100 })
    } catch {
      // The stack or the count of aliases ran out: no estate is like that.
      this.#document = null
      this.problems = [{ line: 1, column: 1, path: [], message: 'nested too deeply, or too many aliases' }]
    }
  }

  /** The place of a value, or with `of: 'key'` of the key that it stands under; its parent's where it is absent. */
  placeOf(path: Path, of: 'key' | 'value' = 'value'): { line: number; column: number } {
    let node: unknown = this.#document?.contents
    let offset = 0
    for (const [depth, step] of path.entries()) {
      const parent: unknown = isAlias(node) && this.#document ? node.resolve(this.#document) : node
      offset = offsetOf(parent) ?? offset
      const key = isMap(parent)
        ? parent.items.find((pair) => isScalar(pair.key) && pair.key.value === step)?.key
        : undefined
      if (of === 'key' && depth === path.length - 1 && key) return this.#place(offsetOf(key) ?? offset)
      node = isMap(parent) ? parent.get(step, true) : isSeq(parent) ? parent.get(step, true) : undefined
      if (node === undefined || node === null) return this.#place(offsetOf(key) ?? offset)
    }
    return this.#place(offsetOf(node) ?? offset)
  }

  #place(offset: number): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }

  #syntaxProblems(): Problem[] {
    const { errors = [], warnings = [] } = this.#document ?? {}
    const problems = new Map<number, Problem>()
    for (const { code, pos } of [...errors, ...warnings]) {
      // What follows at the same place is a consequence of the first.
      if (!problems.has(pos[0]))
        problems.set(pos[0], { ...this.#place(pos[0]), path: [], message: syntaxMessages[code] })
    }
    return [...problems.values()]
  }

  #duplicateKeys(): Problem[] {
    const problems: Problem[] = []
    if (!this.#document) return problems
    visit(this.#document, {
      Map: (_, map, ancestors) => {
        const seen = new Set<unknown>()
        for (const { key } of map.items) {
          if (!isScalar(key)) continue
          if (seen.has(key.value)) {
            const path = [...pathOf([...ancestors, map] as Node[]), String(key.value)]
            problems.push({ ...this.#place(offsetOf(key) ?? 0), path, message: 'this key stands here twice' })
          }
          seen.add(key.value)
        }
      },
    })
    return problems
  }

  #aliasesOfNothing(): Problem[] {
    const problems: Problem[] = []
    const anchors = new Set<string>()
    visit(this.#document, {
      Alias: (_, alias) => {
        if (anchors.has(alias.source)) return
        problems.push({ ...this.#place(offsetOf(alias) ?? 0), path: [], message: syntaxMessages.BAD_ALIAS })
      },
      Value: (_, node) => void (node.anchor && anchors.add(node.anchor)),
    })
    return problems
  }
}

function unreadableBecause(text: string): string | undefined {
  if (text.length > mostBytes) return `larger than ${mostBytes / 1024} KiB: this is not an estate file`
  if (text.includes('\0') || text.includes('\uFFFD')) return 'not a text in UTF-8'
  if (text.trim() === '') return 'the file is empty; expected at least the keys "estate" and "stores"'
  return undefined
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0]
}

/** The keys and indexes that lead from the document to the last of these nodes. */
function pathOf(ancestors: readonly unknown[]): Path {
  return ancestors.flatMap((node, depth): (string | number)[] => {
    const parent = ancestors[depth - 1]
    if (isPair(node) && isScalar(node.key)) return [String(node.key.value)]
    return isSeq(parent) ? [parent.items.indexOf(node)] : []
  })
}

const syntaxMessages: Readonly<Record<YAMLError['code'], string>> = {
  ALIAS_PROPS: 'an alias cannot have an anchor or a tag',
  BAD_ALIAS: 'an alias whose anchor does not stand before it; put the text in quotes if it is no alias',
  BAD_COLLECTION_TYPE: 'a tag that does not fit what it stands before',
  BAD_DIRECTIVE: 'a directive that YAML does not know; a text that begins with % must stand in quotes',
  BAD_DQ_ESCAPE: 'an escape that YAML does not know; use single quotes for a text with backslashes',
  BAD_INDENT: 'the indentation does not fit the lines above, or a bracket before is not closed',
  BAD_PROP_ORDER: 'anchors and tags must stand after the indicators',
  BAD_SCALAR_START: 'a text cannot begin with this character; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a mapping inside a line; is a line break or an indentation missing?',
  BLOCK_IN_FLOW: 'a block inside brackets; close the brackets first',
  DUPLICATE_KEY: 'this key stands here twice',
  IMPOSSIBLE: 'not valid YAML',
  KEY_OVER_1024_CHARS: 'a key cannot be that long; is a colon missing before?',
  MISSING_CHAR: 'a character is missing here: a closing quote or bracket, a comma, or the colon and space after a key',
  MULTILINE_IMPLICIT_KEY: 'a key must stand in one line; is the colon and space after it missing?',
  MULTIPLE_ANCHORS: 'at most one anchor can stand here',
  MULTIPLE_DOCS: 'a second document begins here; an estate file holds one',
  MULTIPLE_TAGS: 'at most one tag can stand here',
  NON_STRING_KEY: 'a key must be a text; put it in quotes',
  RESOURCE_EXHAUSTION: 'nested too deeply, or too many aliases',
  TAB_AS_INDENT: 'a tab cannot indent; use spaces',
  TAG_RESOLVE_FAILED: 'a tag that is not known here; put the text in quotes if it is no tag',
  UNEXPECTED_TOKEN: 'something stands here that YAML does not expect',
}
