/** One call of the command line: its options, the estate that they name, and where its output goes. */
import { readFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import type { Estate } from '@replatform/core/estate'
import { parseEstate } from '@replatform/core/estate-parser'
import { nearest } from '@replatform/core/nearest'
import { colorsFor, type Io, type Terminal, widthOf } from './io.ts'
import { type ResolveSecret, resolveSecret } from './secrets.ts'
import type { Style } from './style.ts'
import { wrap } from './text-cells.ts'

export interface GlobalOptions {
  readonly estate: string
  readonly state?: string
  readonly json?: boolean
  readonly color: boolean
  readonly verbose?: boolean
}

export class Invocation {
  readonly io: Io
  readonly options: GlobalOptions
  #estate: Estate | null = null

  constructor(io: Io, options: GlobalOptions) {
    this.io = io
    this.options = options
  }

  get json(): boolean {
    return this.options.json === true
  }

  get estateFile(): string {
    return resolve(this.io.cwd, this.options.estate)
  }

  get stateDirectory(): string {
    const { state } = this.options
    return state === undefined ? join(dirname(this.estateFile), '.replatform') : resolve(this.io.cwd, state)
  }

  /** Throws `estate.not-found` or `estate.invalid`. */
  get estate(): Estate {
    this.#estate ??= this.#withPaths(parseEstate(readEstate(this.estateFile), this.options.estate))
    return this.#estate
  }

  /** Movers run in a directory of their own, so files are named from the root on. */
  #withPaths(estate: Estate): Estate {
    const base = dirname(this.estateFile)
    const stores = Object.entries(estate.stores).map(([name, store]) => {
      const { topology, spool } = store
      const named = {
        ...(topology === undefined ? {} : { topology: resolve(base, topology) }),
        ...(spool === undefined ? {} : { spool: { folder: resolve(base, spool.folder) } }),
      }
      return [name, { ...store, ...named }] as const
    })
    return { ...estate, stores: Object.fromEntries(stores) }
  }

  /** For the audit log. */
  get actor(): string {
    return `${userInfo().username}@${hostname()}`
  }

  readonly resolveSecret: ResolveSecret = (reference) => resolveSecret(reference, this.io.env)

  /** The move that was named, or the only one there is. Throws `estate.unknown-move` or `usage`. */
  moveNamed(name: string | undefined): string {
    const moves = Object.keys(this.estate.stores)
    if (name === undefined) {
      if (moves.length === 1) return moves[0] as string
      throw new ReplatformError('usage', { message: `Name one of the moves of the estate: ${moves.join(', ')}.` })
    }
    if (moves.includes(name)) return name
    const meant = nearest(name, moves)
    if (this.estate.waves?.some((wave) => wave.name === name)) {
      const message = `"${name}" is a wave, not a store: say --wave ${name}.`
      throw new ReplatformError('estate.unknown-move', { message })
    }
    const hint = meant ? `Did you mean "${meant}"?` : `There are: ${moves.join(', ')}.`
    throw new ReplatformError('estate.unknown-move', { message: `The estate has no store "${name}". ${hint}` })
  }

  /** The wave that was named, or the only one that the estate declares. Throws `estate.unknown-wave` or `usage`. */
  waveNamed(name: string | undefined): string {
    const waves = (this.estate.waves ?? []).map((wave) => wave.name)
    if (name === undefined) {
      if (waves.length === 1) return waves[0] as string
      const which = waves.length > 0 ? `one of the waves: ${waves.join(', ')}` : 'a wave; the estate declares none'
      throw new ReplatformError('usage', { message: `Name ${which}.` })
    }
    if (waves.includes(name)) return name
    const meant = nearest(name, waves)
    const there = waves.length > 0 ? `There are: ${waves.join(', ')}.` : 'It declares none.'
    const hint = meant ? `Did you mean "${meant}"?` : there
    throw new ReplatformError('estate.unknown-wave', { message: `The estate has no wave "${name}". ${hint}` })
  }

  /** How to draw on one of the two streams. */
  styleOf(terminal: Terminal): Style {
    return { colors: colorsFor(terminal, this.io.env, this.options.color), columns: widthOf(terminal) }
  }

  /** The one result: a document with --json, lines for people otherwise. */
  result(document: object, lines: (style: Style) => readonly string[]): void {
    const { out } = this.io
    out.write(`${this.json ? JSON.stringify(document) : lines(this.styleOf(out)).join('\n')}\n`)
  }

  /** Something that people should know and that is no result. */
  notice(text: string): void {
    this.io.err.write(`${wrap(text, widthOf(this.io.err)).join('\n')}\n`)
  }

  /** As `notice`, below the `^C` that the terminal shows. */
  noticeOfInterruption(text: string): void {
    if (this.io.err.isTTY) this.io.err.write('\n')
    this.notice(text)
  }
}

function readEstate(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`
    throw new ReplatformError('estate.not-found', { message: `The estate file ${file} ${why}.`, cause })
  }
}
