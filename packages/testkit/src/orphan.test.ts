import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { pollUntil } from './poll-until.ts'
import { processesIn } from './server-process.ts'

/** Goal: a killed test run leaves nothing on the machine. Method: SIGKILL to a process that owns a server. */
test('server and folder vanish with the process that owns them', async () => {
  const owner = spawn(process.execPath, ['--input-type=module', '--eval', ownerScript], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [dataDir] = (await once(createInterface(owner.stdout), 'line')) as [string]
  expect(await processesIn(dataDir)).not.toEqual([])

  owner.kill('SIGKILL')
  await pollUntil('no process is left', async () => (await processesIn(dataDir)).length === 0)
  await pollUntil('the folder is gone', () =>
    access(dirname(dataDir)).then(
      () => false,
      () => true,
    ),
  )
})

const ownerScript = `
  import { startPostgresql } from '${new URL('./postgresql-server.ts', import.meta.url)}'
  const server = await startPostgresql({ major: 13 })
  console.log(server.dataDir)
`
