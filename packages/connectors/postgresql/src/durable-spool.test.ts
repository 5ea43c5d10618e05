/**
 * Goal: what was told to be durable in a spool comes out again, whole and once, after any number of ends of the process
 * in the middle of a write; what does not, because a file is gone or was changed, is said.
 * Method: a stream of small transactions is written in random pieces and read back as the follower reads it; files are
 * cut, changed and deleted between two openings.
 */
import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createSmallDisk, smallDiskRefusal } from '@replatform/testkit/small-disk'
import { createTempFolder } from '@replatform/testkit/temp-folder'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DurableSpool } from './durable-spool.ts'
import { FrameWalker } from './frame-walker.ts'
import { messageStart, WholeFrame } from './large-frame.ts'
import type { Lsn } from './lsn.ts'
import { ReplayGate } from './replay-gate.ts'

const key = Buffer.alloc(32, 7)
const secret = 'card 4111 1111 1111 1111'
const table = 16_400

/** Wraps a message as the stream does. */
function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(messageStart)
  head[0] = 0x64
  head.writeInt32BE(messageStart - 1 + message.length, 1)
  head[5] = 0x77
  return Buffer.concat([head, message])
}

function message(type: string, ...parts: (bigint | number | string)[]): Buffer {
  const encode = (part: bigint | number | string) => {
    if (typeof part === 'string') return Buffer.from(part)
    const bytes = Buffer.alloc(typeof part === 'bigint' ? 8 : 4)
    if (typeof part === 'bigint') bytes.writeBigUInt64BE(part)
    else bytes.writeUInt32BE(part)
    return bytes
  }
  return frame(Buffer.concat([Buffer.from(type), ...parts.map(encode)]))
}

/** Writes the spool as a receiver does; transaction `n` is committed at `100 n` and ends 50 behind it. */
class Source {
  readonly #spool: DurableSpool
  #next: number
  #isDescribed = false

  constructor(spool: DurableSpool) {
    this.#spool = spool
    this.#next = Number((spool.start + 99n) / 100n)
  }

  transaction(rows: number, bytes: number, isWhole = true): void {
    const n = this.#next++
    this.#send(message('B', BigInt(n) * 100n, 0n, n))
    if (!this.#isDescribed) {
      const described = message('R', table, 'public\0t\0')
      this.#send(described)
      this.#spool.describe(table, described)
      this.#isDescribed = true
    }
    for (let row = 0; row < rows; row++) this.#send(message('I', table, `${n}/${row} ${secret}`.padEnd(bytes, '.')))
    if (!isWhole) return
    const end = BigInt(n) * 100n + 50n
    this.#send(message('C', '\0', BigInt(n) * 100n, end, 0n))
    this.#spool.advance(end)
  }

  async isDurable(): Promise<void> {
    while (this.#spool.durable < BigInt(this.#next - 1) * 100n + 50n) {
      const more = new Promise<void>((resolve) => {
        this.#spool.onDurable = resolve
      })
      await Promise.race([more, this.#spool.broken])
    }
  }

  #send(data: Buffer): void {
    this.#spool.append(data, 0, data.length)
  }
}

/** The commits that a reader behind `from` is given; each must come whole, its table told before its rows. */
async function readAll(spool: DurableSpool, from: Lsn): Promise<number[]> {
  const commits: number[] = []
  let isTold = false
  const take = (data: Buffer, at: number) => {
    const type = String.fromCharCode(data[at + messageStart] ?? 0)
    if (type === 'R') isTold = true
    if (type === 'I') expect(isTold).toBe(true)
    if (type === 'C') commits.push(Number(data.readBigUInt64BE(at + messageStart + 2) / 100n))
  }
  const sink = { frame: take, large: (bytes: number) => new WholeFrame(bytes, (data) => take(data, 0)), keepalive() {} }
  const gate = new ReplayGate(sink, from)
  let walker = new FrameWalker(gate)
  for (;;) {
    const piece = await spool.read()
    if (!piece && spool.flushing) await spool.flushing
    else if (!piece) break
    else {
      if (piece.start) {
        walker = new FrameWalker(gate)
        gate.remember(piece.start.relations)
        gate.until = piece.start.until
      }
      walker.take(piece.data)
    }
  }
  for (const rest of spool.takeRest()) walker.take(rest)
  return commits
}

const whole = (count: number, from = 1) => Array.from({ length: count }, (_, i) => from + i)

test('every transaction comes once and whole, however often the writer was cut off', async () => {
  const run = fc.record({
    transactions: fc.array(fc.record({ rows: fc.nat(4), bytes: fc.integer({ min: 30, max: 400 }) }), { maxLength: 12 }),
    /** A transaction of which only a part was written, and so many bytes of which were lost. */
    torn: fc.option(fc.nat(60)),
    applied: fc.nat(3),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(run, { minLength: 1, maxLength: 4 }), async (runs) => {
      await using folder = await createTempFolder('durable-spool')
      let [committed, applied, epoch] = [0, 0, 0n]
      const open = (confirmed: number) =>
        DurableSpool.open({
          folder: folder.path,
          key,
          epoch: ++epoch,
          from: BigInt(applied) * 100n + 50n,
          confirmed: BigInt(confirmed) * 100n + 50n,
          segmentBytesMost: 700,
        })
      for (const { transactions, torn, applied: more } of runs) {
        const spool = await open(committed)
        const source = new Source(spool)
        for (const { rows, bytes } of transactions) source.transaction(rows, bytes)
        committed += transactions.length
        if (committed > 0) await source.isDurable()
        if (torn !== null) source.transaction(2, 200, false)
        await spool[Symbol.asyncDispose]()
        const last = (await readdir(folder.path)).sort().at(-1) ?? ''
        if (torn !== null) await writeFile(join(folder.path, last), Buffer.alloc(torn, 1), { flag: 'a' })
        applied = Math.min(applied + more, committed)
      }
      await using spool = await open(committed)
      expect(await readAll(spool, BigInt(applied) * 100n + 50n)).toEqual(whole(committed - applied, applied + 1))
      await spool.forget(BigInt(committed) * 100n + 50n)
      expect(await readdir(folder.path)).toEqual([])
    }),
    { numRuns: 15 },
  )
})

/** A spool of three segments, with 30 transactions that the source has forgotten. */
async function filled(folder: string): Promise<void> {
  await using spool = await DurableSpool.open({ ...options(folder), epoch: 1n, confirmed: 0n })
  const source = new Source(spool)
  for (let n = 0; n < 30; n++) source.transaction(3, 100)
  await source.isDurable()
}

function options(folder: string) {
  return { folder, key, epoch: 2n, from: 1n, confirmed: 3_050n, segmentBytesMost: 5_000 }
}

test.each(['changed', 'cut short', 'deleted'])('a file that was %s is found, wherever', async (damage) => {
  await using folder = await createTempFolder('damaged-spool')
  await filled(folder.path)
  const files = (await readdir(folder.path)).sort()
  expect(files.length).toBeGreaterThan(2)
  const kept = new Map<string, Buffer>()
  for (const name of files) kept.set(name, await readFile(join(folder.path, name)))
  for (const content of kept.values()) expect(content.includes('4111')).toBe(false)
  for (const [name, content] of kept) {
    for (const place of [0, 40, Math.floor(content.length / 2), content.length - 1]) {
      await rm(folder.path, { recursive: true })
      await using _ = await DurableSpool.open({ ...options(folder.path), confirmed: 0n })
      for (const [each, bytes] of kept) await writeFile(join(folder.path, each), bytes)
      const path = join(folder.path, name)
      if (damage === 'changed') await writeFile(path, flipped(content, place))
      else if (damage === 'cut short') await truncate(path, place)
      else await rm(path)
      const read = async () => {
        await using spool = await DurableSpool.open({ ...options(folder.path), epoch: 3n })
        return await readAll(spool, 1n)
      }
      // The last segment may hold nothing yet.
      const outcome = await read().catch((thrown: { code: string }) => thrown.code)
      if (outcome !== 'postgresql.spool-lost') expect(outcome).toEqual(whole(30))
      if (name === files[0]) expect(outcome).toBe('postgresql.spool-lost')
    }
  }
})

function flipped(content: Buffer, place: number): Buffer {
  const changed = Buffer.from(content)
  changed[place] = (changed[place] ?? 0) ^ 1
  return changed
}

test('a folder that cannot be made has a name', async () => {
  await using folder = await createTempFolder('no-spool')
  const file = await folder.write('file', '')
  const opened = DurableSpool.open(options(join(file, 'ledger-forward')))
  await expect(opened).rejects.toMatchObject({ code: 'mover.folder-unusable' })
})

test('another key finds nothing', async () => {
  await using folder = await createTempFolder('other-key')
  await filled(folder.path)
  const opened = DurableSpool.open({ ...options(folder.path), key: Buffer.alloc(32, 8) })
  await expect(opened).rejects.toMatchObject({ code: 'postgresql.spool-lost' })
})

const onSmallDisk = smallDiskRefusal ? `(${smallDiskRefusal})` : ''
test.skipIf(smallDiskRefusal)(`a full disk has a name, and costs nothing ${onSmallDisk}`, async () => {
  await using disk = await createSmallDisk(4 * 1024 * 1024)
  const folder = join(disk.path, 'ledger-forward')
  {
    await using spool = await DurableSpool.open({ ...options(folder), epoch: 1n, confirmed: 0n })
    const source = new Source(spool)
    for (let n = 0; n < 30; n++) source.transaction(3, 100)
    await source.isDurable()
    await disk.fill()
    for (let n = 0; n < 30; n++) source.transaction(30, 1_000)
    await expect(spool.broken).rejects.toMatchObject({
      code: 'mover.disk-full',
      message: expect.stringContaining(folder),
    })
  }
  await expect(DurableSpool.open(options(folder))).rejects.toMatchObject({ code: 'mover.disk-full' })
  await disk.free()
  await using spool = await DurableSpool.open({ ...options(folder), epoch: 3n })
  expect((await readAll(spool, 1n)).slice(0, 30)).toEqual(whole(30))
})
