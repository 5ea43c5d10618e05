/**
 * A store for tests of the control plane: two folders stand for the two sides, each row is a count. It survives the
 * kill of any process, shows its fences to the test, and can be told to fail at a named verb.
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ErrorCode } from '@replatform/core/error-catalogue'
import { ReplatformError } from '@replatform/core/errors'
import type { Place } from '@replatform/core/routing'

/**
 * `crash`: the process that reaches the point is killed. `crash-parent`: the process that forked it. `hang`: it waits
 * until the file is gone. Anything else is the code of an error to throw. All but `hang` happen once.
 */
export type Fault = 'crash' | 'crash-parent' | 'hang' | ErrorCode

export class FileStore {
  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
    for (const place of ['old', 'new']) mkdirSync(join(folder, place), { recursive: true })
    mkdirSync(join(folder, 'faults'), { recursive: true })
  }

  rows(place: Place): number {
    return Number(this.#read(`${place}/rows`) ?? '0')
  }

  setRows(place: Place, rows: number): void {
    this.#write(`${place}/rows`, String(rows))
  }

  /** One row by an application: refused where the side is fenced. */
  insert(place: Place): boolean {
    if (this.has(place, 'fenced')) return false
    this.setRows(place, this.rows(place) + 1)
    return true
  }

  has(place: Place, mark: string): boolean {
    return existsSync(join(this.folder, place, mark))
  }

  mark(place: Place, mark: string, value = ''): void {
    this.#write(`${place}/${mark}`, value)
  }

  unmark(place: Place, mark: string): void {
    rmSync(join(this.folder, place, mark), { force: true })
  }

  marks(place: Place, prefix: string): string[] {
    return readdirSync(join(this.folder, place))
      .filter((name) => name.startsWith(prefix))
      .sort()
  }

  get route(): Place {
    return (this.#read('route') as Place | undefined) ?? 'old'
  }

  set route(place: Place) {
    this.#write('route', place)
  }

  get isHeld(): boolean {
    return existsSync(join(this.folder, 'held'))
  }

  set isHeld(held: boolean) {
    if (held) this.#write('held', '')
    else rmSync(join(this.folder, 'held'), { force: true })
  }

  /** `point` is `before fence`, `after unfence` …, named after verbs of movers and routings. */
  setFault(point: string, fault: Fault | null): void {
    if (fault) this.#write(`faults/${point}`, fault)
    else rmSync(join(this.folder, 'faults', point), { force: true })
  }

  trace(): string[] {
    return (this.#read('trace') ?? '').split('\n').filter((line) => line !== '')
  }

  /** Runs a verb with what it was told to suffer before or after it. */
  async verb<T>(name: string, detail: string, act: () => T | Promise<T>): Promise<T> {
    appendFileSync(join(this.folder, 'trace'), `${name} ${detail}\n`)
    await this.#suffer(`before ${name}`)
    const result = await act()
    await this.#suffer(`after ${name}`)
    return result
  }

  async #suffer(point: string): Promise<void> {
    const fault = this.#read(`faults/${point}`) as Fault | undefined
    if (fault === undefined) return
    if (fault === 'hang') {
      while (this.#read(`faults/${point}`) !== undefined) await sleep(10)
      return
    }
    this.setFault(point, null)
    if (fault === 'crash') process.kill(process.pid, 'SIGKILL')
    if (fault === 'crash-parent') process.kill(process.ppid, 'SIGKILL')
    if (fault.startsWith('crash')) await sleep(60_000)
    throw new ReplatformError(fault as ErrorCode, { message: `The test wanted it ${point}.` })
  }

  #read(name: string): string | undefined {
    try {
      return readFileSync(join(this.folder, name), 'utf8')
    } catch {
      return undefined
    }
  }

  #write(name: string, text: string): void {
    const file = join(this.folder, name)
    const temporary = `${file}.${process.pid}.tmp`
    writeFileSync(temporary, text)
    renameSync(temporary, file)
  }
}
