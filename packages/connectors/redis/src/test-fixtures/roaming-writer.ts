import { expect } from 'vitest'
import type { Argument } from '../command-buffer.ts'
import type { RespValue } from '../resp-reader.ts'

/** One server, or a cluster by one. */
export interface Writable extends AsyncDisposable {
  command(...args: Argument[]): Promise<RespValue>
}

/** Writes on whichever side takes writes, and remembers what was acknowledged. */
export class RoamingWriter implements AsyncDisposable {
  /** What was pushed to the writer's list, in order. */
  readonly pushed: number[] = []
  /** Deadlines of keys that were acknowledged, by key. */
  readonly deadlines = new Map<string, number>()
  increments = 0
  /** Commands that ended without an answer. */
  unknown = 0
  readonly name: string
  readonly #open: (side: 'source' | 'target') => Promise<Writable>
  readonly #ended: Promise<void>
  #isOver = false

  constructor(name: string, open: (side: 'source' | 'target') => Promise<Writable>) {
    this.name = name
    this.#open = open
    this.#ended = this.#run()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await this.#ended
  }

  /** What was acknowledged is there once, and what else is there had no answer. */
  async expectAllOn(side: Writable): Promise<void> {
    const { name, pushed, deadlines, increments, unknown } = this
    const list = ((await side.command('LRANGE', `list:${name}`, 0, -1)) as Buffer[]).map((n) => Number(String(n)))
    expect(new Set(list).size).toBe(list.length)
    const there = new Set(list)
    expect(pushed.filter((n) => !there.has(n))).toEqual([])
    expect(list.length - pushed.length).toBeLessThanOrEqual(unknown)
    const counted = Number(String(await side.command('GET', `counter:${name}`)))
    expect(counted).toBeGreaterThanOrEqual(increments)
    expect(counted - increments).toBeLessThanOrEqual(unknown)
    let other = 0
    for (const [key, deadline] of deadlines) {
      if ((await side.command('PEXPIRETIME', key)) !== deadline) other += 1
    }
    expect(other).toBeLessThanOrEqual(unknown)
  }

  async #run(): Promise<void> {
    const sides = ['source', 'target'] as const
    for (let attempt = 0, n = 0; !this.#isOver; attempt++) {
      try {
        await using connection = await this.#open(sides[attempt % 2] as 'source' | 'target')
        for (; !this.#isOver; n++) await this.#writeOnce(connection, n)
      } catch {
        n += 1
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
  }

  async #writeOnce(connection: Writable, n: number): Promise<void> {
    const { name } = this
    const deadline = Date.now() + 3_600_000 + n
    const session = `session:${name}:${n % 200}`
    await this.#ask(connection, ['SET', session, n, 'PXAT', deadline], () => this.deadlines.set(session, deadline))
    await this.#ask(connection, ['RPUSH', `list:${name}`, n], () => this.pushed.push(n))
    await this.#ask(connection, ['INCR', `counter:${name}`], () => {
      this.increments += 1
    })
    // A code that lives shortly, and is renewed all the time.
    await this.#ask(connection, ['SET', `code:${name}`, n, 'PX', 3_000], () => {})
    await this.#ask(connection, ['HSET', `hash:${name}`, `f${n % 20}`, n], () => {})
  }

  async #ask(connection: Writable, command: Argument[], onAnswer: () => void): Promise<void> {
    this.unknown += 1
    await connection.command(...command)
    this.unknown -= 1
    onAnswer()
  }
}
