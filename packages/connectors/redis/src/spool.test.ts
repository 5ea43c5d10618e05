import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Spool } from './spool.ts'

test('what goes in comes out in order, whoever is faster', async () => {
  const steps = fc.array(fc.oneof(fc.nat(400), fc.constant('read' as const)), { maxLength: 80 })
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      await using spool = new Spool({ memoryBytes: 300, blockBytes: 500 })
      const written: Buffer[] = []
      const read: Buffer[] = []
      const writes: Promise<void>[] = []
      for (const [index, step] of script.entries()) {
        if (step === 'read') {
          if (spool.bytes > 0) read.push((await spool.read())?.data ?? Buffer.alloc(0))
        } else if (step > 0) {
          const data = Buffer.alloc(step, index)
          written.push(data)
          writes.push(spool.write(data, index))
        }
      }
      await Promise.all(writes)
      spool.end(null)
      for (let piece = await spool.read(); piece; piece = await spool.read()) read.push(piece.data)
      expect(Buffer.concat(read).equals(Buffer.concat(written))).toBe(true)
      expect(spool.bytes).toBe(0)
    }),
    { numRuns: 300 },
  )
})

test('the file has no name, and what stands in it cannot be read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'spool-'))
  const secret = Buffer.from('card 4111 1111 1111 1111 ')
  await using spool = new Spool({ folder, memoryBytes: 0, blockBytes: 100 })
  for (let i = 0; i < 10; i++) await spool.write(secret, i)
  expect(spool.hasSpilled).toBe(true)
  expect(await readdir(folder)).toEqual([])
  const files = (await readdir('/proc/self/fd', { withFileTypes: true })).map((entry) => `/proc/self/fd/${entry.name}`)
  const contents = await Promise.all(files.map(async (path) => isOurs(path, folder)))
  const spilled = contents.filter((content) => content !== null)
  expect(spilled).toHaveLength(1)
  expect(spilled[0]?.length).toBeGreaterThan(100)
  expect(spilled[0]?.includes('4111')).toBe(false)
  expect((await spool.read())?.data.includes('4111')).toBe(true)
  await rm(folder, { recursive: true })
})

async function isOurs(path: string, folder: string): Promise<Buffer | null> {
  const { readlink } = await import('node:fs/promises')
  const target = await readlink(path).catch(() => '')
  return target.startsWith(folder) ? readFile(path) : null
}
