import { startFileWorker } from './file-worker.ts'

/** The worker as a process of its own, so that tests can kill it. */
const [options] = process.argv.slice(2)
const print = (level: string) => (fields: object, message: string) =>
  console.error(
    level,
    message,
    JSON.stringify(fields, (key, value) => (key === 'err' ? String(value) : value)),
  )
const log = { info: print('info'), warn: print('warn'), error: print('error') }
const worker = await startFileWorker({ ...JSON.parse(options ?? '{}'), log })
process.send?.('ready')
await worker.stopped
process.exit()
