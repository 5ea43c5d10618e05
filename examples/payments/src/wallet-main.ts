/**
 * The wallet service, on loopback. Prints `{"port":…}` when it listens; ends on SIGTERM after answering what it began.
 *
 *     WALLET_DATABASE_URL=… node wallet-main.ts [--port 0] [--connections 16]
 */
import { parseArgs } from 'node:util'
import { requiredVariable, runMain, wholeNumber } from './environment.ts'
import { PaymentLedger } from './payment-ledger.ts'
import { serveUntilStopped } from './serve.ts'
import { createWalletServer } from './wallet-server.ts'

await runMain(async () => {
  const { values } = parseArgs({
    options: { port: { type: 'string', default: '0' }, connections: { type: 'string', default: '16' } },
  })
  const ledger = new PaymentLedger({
    url: requiredVariable('WALLET_DATABASE_URL'),
    connections: wholeNumber(values.connections, '--connections', 1),
    connectMs: 10_000,
    statementMs: 15_000,
    onConnectionError: (error) => app.log.warn({ name: error.name }, 'an idle connection dropped'),
  })
  const app = createWalletServer(ledger)
  await ledger.warmUp()
  await serveUntilStopped(app, wholeNumber(values.port, '--port'))
  await ledger.close()
  return 0
})
