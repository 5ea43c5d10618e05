import { chmod, lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { replaceFile } from './replace-file.ts'

test('mode, owner and a link to the file stay; nothing is left beside it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'replace-file-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'databases.ini')
  const link = join(folder, 'link.ini')
  await writeFile(file, 'old')
  await chmod(file, 0o640)
  await symlink(file, link)
  const before = await stat(file)

  await replaceFile(link, 'new')

  const after = await stat(file)
  expect(await readFile(file, 'utf8')).toBe('new')
  expect([after.mode, after.uid, after.gid]).toEqual([before.mode, before.uid, before.gid])
  expect(after.ino).not.toBe(before.ino)
  expect((await lstat(link)).isSymbolicLink()).toBe(true)
  expect(await readdir(folder)).toEqual(['databases.ini', 'link.ini'])
})
