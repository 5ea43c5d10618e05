/**
 * The service of customers' profiles and notifications, on loopback. Prints `{"port":…}` when it listens; ends on
 * SIGTERM after answering what it began.
 *
 *     PROFILES_MONGODB_URL=mongodb://…/profiles node profiles-main.ts --create-indexes
 *     PROFILES_MONGODB_URL=mongodb://…/profiles node profiles-main.ts [--port 0] [--notification-seconds 2592000]
 */
import { parseArgs } from 'node:util'
import { MongoClient } from 'mongodb'
import { requiredVariable, runMain, wholeNumber } from './environment.ts'
import { createProfileIndexes, ProfileStore } from './profiles/profile-store.ts'
import { createProfilesServer } from './profiles/profiles-server.ts'
import { serveUntilStopped } from './serve.ts'

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      'port': { type: 'string', default: '0' },
      'notification-seconds': { type: 'string', default: '2592000' },
      'create-indexes': { type: 'boolean', default: false },
    },
  })
  const url = requiredVariable('PROFILES_MONGODB_URL')
  if (values['create-indexes']) {
    await using client = new MongoClient(url)
    await createProfileIndexes(client.db())
    return 0
  }
  const notificationMs = wholeNumber(values['notification-seconds'], '--notification-seconds', 1) * 1000
  const store = new ProfileStore({ url, answerMs: 10_000, notificationMs })
  await serveUntilStopped(createProfilesServer(store), wholeNumber(values.port, '--port'))
  await store.close()
  return 0
})
