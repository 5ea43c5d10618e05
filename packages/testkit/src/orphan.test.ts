import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { exists } from './cache.ts'
import { pollUntil } from './poll-until.ts'
import { processesUnder } from './server-process.ts'
import { smallDiskRefusal } from './small-disk.ts'

/**
 * Goal: a killed test run leaves nothing on the machine. Method: SIGKILL to a process that owns one of everything, then
 * count the processes, mounts and folders that are left of what it had.
 */
test('servers and folders vanish with the process that owns them', async () => {
  const owner = spawn(process.execPath, ['--input-type=module', '--eval', ownerScript], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(owner.stdout), 'line')) as [string]
  const folders = JSON.parse(line) as string[]
  for (const folder of folders.filter((each) => !each.includes('small-disk'))) {
    expect(await processesUnder(folder), folder).not.toEqual([])
  }

  owner.kill('SIGKILL')
  for (const folder of folders) {
    await pollUntil(`no process is left in ${folder}`, async () => (await processesUnder(folder)).length === 0)
    await pollUntil(`${folder} is gone`, async () => !(await exists(folder)))
  }
  const mounts = await readFile('/proc/mounts', 'utf8')
  expect(folders.filter((folder) => mounts.includes(folder))).toEqual([])
})

const module = (name: string): string => new URL(`./${name}.ts`, import.meta.url).href

const ownerScript = `
  import { dirname } from 'node:path'
  import { startHaproxy } from '${module('haproxy-server')}'
  import { startMariadb } from '${module('mariadb-server')}'
  import { startMongodb } from '${module('mongodb-server')}'
  import { startPostgresql } from '${module('postgresql-server')}'
  import { startRedis } from '${module('redis-server')}'
  import { createSmallDisk } from '${module('small-disk')}'
  const folders = [
    dirname((await startPostgresql({ major: 13 })).dataDir),
    (await startRedis()).folder,
    (await startMariadb()).folder,
    (await startMongodb()).members[0].folder,
    (await startHaproxy({ routes: { wallet: { sides: { source: { host: '127.0.0.1', port: 1 } } } } })).folder,
  ]
  if (${smallDiskRefusal === undefined}) folders.push((await createSmallDisk(1_000_000)).path)
  console.log(JSON.stringify(folders))
`
