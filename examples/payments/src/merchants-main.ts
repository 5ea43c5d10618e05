/**
 * The service of merchants, on loopback: their orders, the merchant API, settlement. Prints `{"port":…}` when it
 * listens; ends on SIGTERM after answering what it began.
 *
 *     MERCHANTS_DATABASE_URL=… node merchants-main.ts --create-tables
 *     MERCHANTS_DATABASE_URL=… MERCHANTS_WALLET_URL=… node merchants-main.ts [--port 0]
 */

import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { requiredVariable, runMain, wholeNumber } from './environment.ts'
import { createMerchantTables, MerchantDatabase } from './merchants/merchant-database.ts'
import { createMerchantsServer } from './merchants/merchants-server.ts'
import { deliverNotices } from './merchants/notices.ts'
import { Orders } from './merchants/orders.ts'
import { WalletApi } from './merchants/wallet-api.ts'
import { serveUntilStopped } from './serve.ts'

await runMain(async () => {
  const { values } = parseArgs({
    options: { 'port': { type: 'string', default: '0' }, 'create-tables': { type: 'boolean', default: false } },
  })
  const url = requiredVariable('MERCHANTS_DATABASE_URL')
  if (values['create-tables']) {
    await createMerchantTables(url)
    return 0
  }
  const database = new MerchantDatabase(url)
  using wallet = new WalletApi(requiredVariable('MERCHANTS_WALLET_URL'))
  const app = createMerchantsServer(database, wallet)
  const orders = new Orders(database, wallet)
  const stop = new AbortController()
  const warn = (error: unknown) => app.log.warn({ name: error instanceof Error ? error.name : 'unknown' }, 'put off')
  const errands = [
    repeat(() => orders.finishPending(5).then(() => undefined, warn), stop.signal),
    repeat(() => deliverNotices(database).then(() => undefined, warn), stop.signal),
  ]
  await serveUntilStopped(app, wholeNumber(values.port, '--port'))
  stop.abort()
  await Promise.all(errands)
  await database.close()
  return 0
})

/** Every second, until the signal. */
async function repeat(errand: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await errand()
    await delay(1000, undefined, { signal }).catch(() => undefined)
  }
}
