import { dirname } from 'node:path'
import type { FlushedFiles } from '@replatform/control/flushed-file'
import type { SimProcess } from './sim-process.ts'
import type { World } from './world.ts'

interface Content {
  text: string
  isFlushed: boolean
}

/**
 * The disk of one machine, as POSIX promises it and no better: what a file holds survives a power cut when the file
 * was flushed, a name when its directory was, and of the rest whatever happened to be written back.
 */
export class SimFiles {
  readonly #world: World
  readonly #names = new Map<string, Content>()
  #durableNames = new Map<string, Content>()

  constructor(world: World) {
    this.#world = world
  }

  /** What stands in a file just now, for those who judge the world from outside. */
  peek(file: string): string | undefined {
    return this.#names.get(file)?.text
  }

  /** The file system as one process of the machine uses it. */
  for(process: SimProcess): FlushedFiles {
    return {
      makeDirectory: () => this.#call(process, () => {}),
      write: (file, text) => this.#write(process, file, text),
      link: (file, name) =>
        this.#call(process, () => {
          if (this.#names.has(name)) throw Object.assign(new Error(`${name} exists`), { code: 'EEXIST' })
          this.#names.set(name, this.#existing(file))
        }),
      rename: (file, name) =>
        this.#call(process, () => {
          this.#names.set(name, this.#existing(file))
          this.#names.delete(file)
        }),
      remove: (file) => this.#call(process, () => void this.#names.delete(file)),
      read: (file) => this.#call(process, () => this.#names.get(file)?.text),
      list: (directory) =>
        this.#call(process, () =>
          [...this.#names.keys()]
            .filter((name) => dirname(name) === directory)
            .map((name) => name.slice(directory.length + 1))
            .sort(),
        ),
      flushDirectory: (directory) => this.#flushDirectory(process, directory),
    }
  }

  /** Keeps what was flushed, and of every other change either nothing or all. */
  cutPower(): void {
    const { random } = this.#world
    for (const name of new Set([...this.#names.keys(), ...this.#durableNames.keys()])) {
      const [now, durable] = [this.#names.get(name), this.#durableNames.get(name)]
      if (now === durable || random.chance(0.5)) continue
      this.#world.strike('name lost', 'disk', name)
      if (durable) this.#names.set(name, durable)
      else this.#names.delete(name)
    }
    for (const [name, content] of this.#names) {
      if (content.isFlushed) continue
      this.#world.strike('torn write', 'disk', name)
      content.text = content.text.slice(0, random.whole(0, content.text.length))
      content.isFlushed = true
    }
    this.#durableNames = new Map(this.#names)
  }

  /** Creating, filling and flushing are three calls: a death between them leaves a torn file behind. */
  async #write(process: SimProcess, file: string, text: string): Promise<void> {
    const content: Content = { text: '', isFlushed: false }
    await this.#call(process, () => {
      if (this.#names.has(file)) throw Object.assign(new Error(`${file} exists`), { code: 'EEXIST' })
      this.#names.set(file, content)
    })
    await this.#call(process, () => {
      content.text = text.slice(0, text.length / 2)
      this.#mayFail(process, 'write failed', file)
      content.text = text
    })
    await this.#call(process, () => {
      this.#mayFail(process, 'flush failed', file)
      content.isFlushed = true
    })
  }

  #flushDirectory(process: SimProcess, directory: string): Promise<void> {
    return this.#call(process, () => {
      this.#mayFail(process, 'flush failed', directory)
      for (const name of [...this.#names.keys(), ...this.#durableNames.keys()]) {
        if (dirname(name) !== directory) continue
        const content = this.#names.get(name)
        if (content) this.#durableNames.set(name, content)
        else this.#durableNames.delete(name)
      }
    })
  }

  #call<T>(process: SimProcess, act: () => T): Promise<T> {
    return process.io(this.#world.random.between(0.05, 1), act)
  }

  #mayFail(process: SimProcess, fault: 'write failed' | 'flush failed', what: string): void {
    if (!this.#world.faults.isFailedWrite()) return
    this.#world.strike(fault, process.name, what)
    throw Object.assign(new Error(`${fault}: ${what}`), { code: 'EIO' })
  }

  #existing(file: string): Content {
    const content = this.#names.get(file)
    if (!content) throw Object.assign(new Error(`${file} is missing`), { code: 'ENOENT' })
    return content
  }
}
