import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { controlSocketPath, StateDirectory } from './state-directory.ts'
import { ControlRig, killed } from './test-fixtures/control-rig.ts'
import { startFileWorker } from './test-fixtures/file-worker.ts'

async function tempFolder() {
  const path = await mkdtemp(join(tmpdir(), 'state-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

describe('a state directory', () => {
  test('is made for its user alone', async () => {
    await using folder = await tempFolder()
    const path = join(folder.path, 'deep', 'state')
    await using directory = await StateDirectory.open(path)
    expect((await stat(directory.path)).mode & 0o777).toBe(0o700)
    expect(JSON.parse(await readFile(join(path, 'version.json'), 'utf8'))).toEqual({ format: 1 })
  })

  test('of a newer version is not opened', async () => {
    await using folder = await tempFolder()
    await writeFile(join(folder.path, 'version.json'), '{"format":2}')
    await expect(StateDirectory.open(folder.path)).rejects.toMatchObject({ code: 'state.newer-version' })
    await writeFile(join(folder.path, 'version.json'), '{"format":1}')
    await using _opened = await StateDirectory.open(folder.path)
  })

  test('that is a file, or whose version is torn, is unusable', async () => {
    await using folder = await tempFolder()
    const file = join(folder.path, 'file')
    await writeFile(file, '')
    await expect(StateDirectory.open(file)).rejects.toMatchObject({ code: 'state.unusable' })
    await writeFile(join(folder.path, 'version.json'), '{"for')
    await expect(StateDirectory.open(folder.path)).rejects.toMatchObject({ code: 'state.unusable' })
  })

  test('whose path is too long for a socket is refused rather than cut off', () => {
    expect(controlSocketPath(`/${'x'.repeat(90)}`)).toContain('control.sock')
    expect(() => controlSocketPath(`/${'x'.repeat(100)}`)).toThrowError(/too long/)
  })

  test('belongs to one worker, by whatever path, and is free as soon as that is killed', async () => {
    await using rig = await ControlRig.create()
    const owner = await rig.fork()
    const detour = { ...rig.options(), stateDirectory: join(rig.folder, '.', 'state', '..', 'state') }
    await expect(startFileWorker(detour)).rejects.toMatchObject({
      code: 'state.locked',
      message: expect.stringContaining(`process id ${owner.pid}`),
    })
    await killed(owner)
    await using _free = await StateDirectory.open(rig.stateDirectory)
  })
})
