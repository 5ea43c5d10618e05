/**
 * The search service, on loopback: carries payments and merchants to the search server and finds them. Prints
 * `{"port":…}` when it listens; ends on SIGTERM after answering what it began.
 *
 *     SEARCH_URL=http://… SEARCH_CONSUMERS_URL=… [SEARCH_MERCHANTS_URL=…] node search-main.ts [--port 0]
 */
import { parseArgs } from 'node:util'
import { requiredVariable, runMain, wholeNumber } from './environment.ts'
import { MerchantDatabase } from './merchants/merchant-database.ts'
import { SearchIndexer } from './search/search-indexer.ts'
import { createSearchServer } from './search/search-server.ts'
import { SearchStore } from './search/search-store.ts'
import { serveUntilStopped } from './serve.ts'

await runMain(async () => {
  const { values } = parseArgs({ options: { port: { type: 'string', default: '0' } } })
  const store = new SearchStore(requiredVariable('SEARCH_URL'))
  const consumersUrl = requiredVariable('SEARCH_CONSUMERS_URL')
  const { SEARCH_MERCHANTS_URL: merchantsUrl } = process.env
  const merchants = merchantsUrl ? new MerchantDatabase(merchantsUrl, 2) : undefined
  const app = createSearchServer(store)
  const onFailure = (error: unknown) =>
    app.log.warn({ name: error instanceof Error ? error.name : 'unknown' }, 'indexing is put off')
  const stop = new AbortController()
  const indexing = new SearchIndexer({ consumersUrl, merchants, store, onFailure }).run(stop.signal)
  await serveUntilStopped(app, wholeNumber(values.port, '--port'))
  stop.abort()
  await indexing
  await merchants?.close()
  await store.close()
  return 0
})
