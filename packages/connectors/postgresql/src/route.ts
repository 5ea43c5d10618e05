import type { Route } from '@replatform/core/connector'
import { PostgresqlMover } from './mover.ts'

export const postgresqlRoute: Route = {
  source: 'postgresql',
  target: 'postgresql',
  declares: {
    load: 'chunks',
    follow: 'after-load',
    epoch: 'transaction',
    fence: { source: true, target: true },
    delivery: 'exactly-once',
    reverse: 'stream',
    pause: 'joins',
  },
  open: (options) => new PostgresqlMover(options),
}
