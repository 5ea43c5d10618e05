/**
 * Creates the schema of the events' consumers in an empty database of theirs. Call before anybody pays.
 *
 *     CONSUMERS_OWNER_URL=… EVENTS_LEDGER_URL=… node consumers-main.ts
 */
import { requiredVariable, runMain } from './environment.ts'
import { createConsumers } from './events/consumers-setup.ts'

await runMain(async () => {
  await createConsumers(requiredVariable('CONSUMERS_OWNER_URL'), requiredVariable('EVENTS_LEDGER_URL'))
  return 0
})
