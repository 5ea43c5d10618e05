/** The process that ends a cutover when its worker is gone; see `@replatform/control/guard-host`. */
import { openSharedDatabase } from '@replatform/control/control-database'
import { isClosed } from '@replatform/control/cutover-records'
import { serveGuard } from '@replatform/control/guard-host'
import { PostgresqlDecisionStore } from '@replatform/control/postgresql-decision-store'
import { ReplatformError } from '@replatform/core/errors'
import { createGateways, createRoutings, openMover } from './routes.ts'
import { resolveSecret } from './secrets.ts'
import { openGuardLog } from './worker-log.ts'

await serveGuard({
  openLog: openGuardLog,
  openMover: (spec, direction, log) => openMover(spec, { direction, resolveSecret, log }),
  createRoutings: ({ store }, log) => createRoutings(store, resolveSecret, log),
  createGateways: (wave, log) => createGateways(wave, log),
  openShared: async (log) => {
    const url = process.env.REPLATFORM_CONTROL_URL
    if (!url) throw new ReplatformError('control.unreachable', { message: 'REPLATFORM_CONTROL_URL is not set.' })
    const database = await openSharedDatabase(url, log)
    return {
      decisions: new PostgresqlDecisionStore(database),
      isOpen: async (cutover) => !(await isClosed(database, cutover)),
    }
  },
})
process.exit(0)
