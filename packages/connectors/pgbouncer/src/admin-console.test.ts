import { startPgbouncer } from '@replatform/testkit/pgbouncer-server'
import { pollUntil } from '@replatform/testkit/poll-until'
import { startTcpProxy } from '@replatform/testkit/tcp-proxy'
import { expect, test } from 'vitest'
import { AdminConsole } from './admin-console.ts'
import { findDatabase } from './served-database.ts'

const databases = { ledger: { host: '127.0.0.1', port: 1, dbname: 'ledger' } }

/** Goal: a failed hold holds nobody afterwards. Method: the network swallows PAUSE and gives it up after the failure. */
test('a PAUSE that was lost on the way does not arrive after it has failed', async () => {
  await using pgbouncer = await startPgbouncer({ databases, users: {} })
  await using proxy = await startTcpProxy(pgbouncer)
  await using far = new AdminConsole(proxy.url(pgbouncer.adminUrl))
  await using near = new AdminConsole(pgbouncer.adminUrl)
  await far.run('SHOW VERSION')

  proxy.blackhole()
  await expect(far.run('PAUSE ledger', 200)).rejects.toMatchObject({
    code: 'routing.failed',
    message: expect.stringContaining('no answer within 200 ms'),
  })
  await pollUntil('the network has heard that the client is gone', () => proxy.connections === 0)
  await proxy.restore()

  // Asked on the same way, so that whatever was still on it has arrived before.
  await far.run('SHOW VERSION')
  expect(await findDatabase(near, 'ledger')).toMatchObject({ paused: false })
})

test('what the console refuses is told in its own words, and the connection goes on', async () => {
  await using pgbouncer = await startPgbouncer({ databases, users: {} })
  await using console = new AdminConsole(pgbouncer.adminUrl)
  await expect(console.run('RESUME ledger')).rejects.toThrow(/not paused/)
  expect(await console.run('SHOW VERSION')).toHaveLength(1)
})
