/**
 * The service of sessions, one-time codes, rate limits and remembered answers, on loopback. Prints `{"port":…}` when it
 * listens; ends on SIGTERM after answering what it began.
 *
 *     SESSIONS_REDIS_URL=… SESSIONS_SECRET=… node sessions-main.ts [--port 0] [--session-seconds 1800] [--code-seconds 180]
 *                                                                [--answer-seconds 86400] [--codes-per-minute 30]
 */
import { parseArgs } from 'node:util'
import { requiredVariable, runMain, wholeNumber } from './environment.ts'
import { serveUntilStopped } from './serve.ts'
import { SessionStore } from './sessions/session-store.ts'
import { SessionTokens } from './sessions/session-tokens.ts'
import { createSessionsServer } from './sessions/sessions-server.ts'

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      'port': { type: 'string', default: '0' },
      'session-seconds': { type: 'string', default: '1800' },
      'code-seconds': { type: 'string', default: '180' },
      'answer-seconds': { type: 'string', default: '86400' },
      'codes-per-minute': { type: 'string', default: '30' },
    },
  })
  const milliseconds = (option: 'session-seconds' | 'code-seconds' | 'answer-seconds') =>
    wholeNumber(values[option], `--${option}`, 1) * 1000
  const store = new SessionStore({
    url: requiredVariable('SESSIONS_REDIS_URL'),
    answerMs: 10_000,
    onConnectionError: (error) => app.log.warn({ name: error.name }, 'the connection to Redis dropped'),
    sessionMs: milliseconds('session-seconds'),
    codeMs: milliseconds('code-seconds'),
    answerLifeMs: milliseconds('answer-seconds'),
    codesPerMinute: wholeNumber(values['codes-per-minute'], '--codes-per-minute', 1),
  })
  const app = createSessionsServer(store, new SessionTokens(requiredVariable('SESSIONS_SECRET')))
  store.connect()
  await serveUntilStopped(app, wholeNumber(values.port, '--port'))
  store.close()
  return 0
})
