/**
 * Judges the stores beside the ledger: one line of JSON for each store whose address is in the environment.
 *
 *     JUDGE_REDIS_URL=… node judge-stores-main.ts --sessions-journal sessions.journal [--tolerance-ms 1000]
 *     JUDGE_DATABASE_URL=… JUDGE_CONSUMERS_URL=… [JUDGE_BROKER_URL=…] node judge-stores-main.ts
 *     JUDGE_DATABASE_URL=… JUDGE_MARIADB_URL=… node judge-stores-main.ts --merchants-journal merchants.journal
 *     JUDGE_MONGODB_URL=… node judge-stores-main.ts --profiles-journal profiles.journal
 *     JUDGE_SEARCH_URL=… JUDGE_CONSUMERS_URL=… node judge-stores-main.ts [--search-journal search.journal]
 *     JUDGE_RECEIPTS_SHARE=/mnt/receipts JUDGE_CONSUMERS_URL=… node judge-stores-main.ts
 *
 * Exit code 0: all clean; 1: something was found; 2: it could not be judged.
 */
import { parseArgs } from 'node:util'
import { printLine, requiredVariable, runMain, wholeNumber } from './environment.ts'
import { judgeEvents } from './events/judge-events.ts'
import { judgeMerchants } from './merchants/judge-merchants.ts'
import { judgeProfiles } from './profiles/judge-profiles.ts'
import { judgeReceipts } from './receipts/judge-receipts.ts'
import { judgeSearch } from './search/judge-search.ts'
import { judgeSessions } from './sessions/judge-sessions.ts'
import type { StoreVerdict } from './store-verdict.ts'

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      'sessions-journal': { type: 'string', multiple: true, default: [] },
      'merchants-journal': { type: 'string', multiple: true, default: [] },
      'profiles-journal': { type: 'string', multiple: true, default: [] },
      'search-journal': { type: 'string', multiple: true, default: [] },
      'tolerance-ms': { type: 'string', default: '1000' },
    },
  })
  const { JUDGE_REDIS_URL: redisUrl, JUDGE_CONSUMERS_URL: consumersUrl, JUDGE_BROKER_URL: brokerUrl } = process.env
  const { JUDGE_MARIADB_URL: mariadbUrl, JUDGE_MONGODB_URL: mongodbUrl } = process.env
  const { JUDGE_SEARCH_URL: searchUrl, JUDGE_RECEIPTS_SHARE: share } = process.env
  const toleranceMs = wholeNumber(values['tolerance-ms'], '--tolerance-ms')
  const verdicts: StoreVerdict<string>[] = []
  if (redisUrl) {
    verdicts.push(await judgeSessions({ journals: values['sessions-journal'], url: redisUrl, toleranceMs }))
  }
  if (consumersUrl) {
    const ledgerUrl = requiredVariable('JUDGE_DATABASE_URL')
    verdicts.push(await judgeEvents({ ledgerUrl, consumersUrl, brokerUrl }))
  }
  if (mariadbUrl) {
    const ledgerUrl = requiredVariable('JUDGE_DATABASE_URL')
    verdicts.push(await judgeMerchants({ journals: values['merchants-journal'], url: mariadbUrl, ledgerUrl }))
  }
  if (mongodbUrl) {
    verdicts.push(await judgeProfiles({ journals: values['profiles-journal'], url: mongodbUrl, toleranceMs }))
  }
  if (searchUrl) {
    const sought = { url: searchUrl, consumersUrl: requiredVariable('JUDGE_CONSUMERS_URL') }
    verdicts.push(await judgeSearch({ ...sought, journals: values['search-journal'] }))
  }
  if (share) {
    verdicts.push(await judgeReceipts({ share, consumersUrl: requiredVariable('JUDGE_CONSUMERS_URL') }))
  }
  if (verdicts.length === 0) throw new Error('name a store in the environment, as JUDGE_REDIS_URL')
  for (const verdict of verdicts) printLine(verdict)
  return verdicts.every(({ verdict }) => verdict === 'clean') ? 0 : 1
})
