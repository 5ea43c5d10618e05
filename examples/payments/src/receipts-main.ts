/**
 * The service of receipts, on loopback: writes one for every payment to a share, and shows them. Prints `{"port":…}`
 * when it listens; ends on SIGTERM after answering what it began.
 *
 *     RECEIPTS_SHARE=/mnt/receipts RECEIPTS_CONSUMERS_URL=… node receipts-main.ts [--port 0]
 */
import { parseArgs } from 'node:util'
import { requiredVariable, runMain, wholeNumber } from './environment.ts'
import { ReceiptShare } from './receipts/receipt-share.ts'
import { ReceiptWriter } from './receipts/receipt-writer.ts'
import { createReceiptsServer } from './receipts/receipts-server.ts'
import { serveUntilStopped } from './serve.ts'

await runMain(async () => {
  const { values } = parseArgs({ options: { port: { type: 'string', default: '0' } } })
  const share = new ReceiptShare(requiredVariable('RECEIPTS_SHARE'))
  const consumersUrl = requiredVariable('RECEIPTS_CONSUMERS_URL')
  const app = createReceiptsServer(share)
  const onFailure = (error: unknown) =>
    app.log.warn({ name: error instanceof Error ? error.name : 'unknown' }, 'receipts are put off')
  const stop = new AbortController()
  const writing = new ReceiptWriter({ consumersUrl, share, onFailure }).run(stop.signal)
  await serveUntilStopped(app, wholeNumber(values.port, '--port'))
  stop.abort()
  await writing
  return 0
})
