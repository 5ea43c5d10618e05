/**
 * PgBouncer in front of a database: PAUSE holds the clients' transactions, its file and RELOAD send them elsewhere,
 * RESUME lets them go on. They notice a longer wait and nothing else.
 */
import { readFile } from 'node:fs/promises'
import type { Log } from '@replatform/core/connector'
import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { Finding } from '@replatform/core/finding'
import type { Place, Routing } from '@replatform/core/routing'
import { replaceFile } from '@replatform/engine/replace-file'
import { AdminConsole } from './admin-console.ts'
import { assessPgbouncer } from './assessment.ts'
import { type PgbouncerPlace, pointDatabase, readDatabase } from './database-line.ts'
import { describeAddress, findDatabase, type ServedDatabase, sessionPools } from './served-database.ts'

export interface PgbouncerRoutingOptions {
  /** Address of the admin console, with its user and password. */
  readonly adminUrl: string
  /** The name that clients connect to. */
  readonly database: string
  /** The file that holds the line of this database, on this machine. */
  readonly configFile: string
  /** Both sides of the move as PgBouncer is to reach them. */
  readonly places: Readonly<Record<Place, PgbouncerPlace>>
  readonly log: Log
}

/** Connects to nothing yet. */
export function createPgbouncerRouting(options: PgbouncerRoutingOptions): Routing {
  return new PgbouncerRouting(options)
}

class PgbouncerRouting implements Routing {
  readonly name: string
  readonly writes = 'held'
  readonly #options: PgbouncerRoutingOptions
  readonly #console: AdminConsole

  constructor(options: PgbouncerRoutingOptions) {
    this.name = `pgbouncer ${options.database}`
    this.#options = options
    this.#console = new AdminConsole(options.adminUrl)
  }

  assess(): Promise<Finding[]> {
    const { database, configFile } = this.#options
    const isPlace = (served: ServedDatabase): boolean => this.#placeOf(served) !== undefined
    return assessPgbouncer({ console: this.#console, database, configFile, isPlace })
  }

  async hold({ withinMs }: { readonly withinMs: number }): Promise<void> {
    const deadline = performance.now() + withinMs
    await this.#refuseSessionPooling(withinMs)
    try {
      await this.#console.run(`PAUSE ${this.#quotedName()}`, Math.max(1, deadline - performance.now()))
    } catch (error) {
      await this.#giveUpHold(error)
    }
    this.#options.log.info({ routing: this.name }, 'writes are held')
  }

  async point(place: Place): Promise<void> {
    const { configFile, places, log } = this.#options
    const wanted = places[place]
    await this.#rewrite(wanted)
    await this.#console.run('RELOAD')
    // PgBouncer answers RELOAD with success even where it could not read its files.
    const served = await this.#served()
    if (!isAt(served, wanted)) {
      throw new ReplatformError('routing.failed', {
        message:
          `PgBouncer sends ${served.name} to ${describeAddress(served)} and not to ${describeAddress(wanted)}, ` +
          `though ${configFile} says so and was reloaded.`,
      })
    }
    log.info({ routing: this.name, place }, 'clients are sent elsewhere from their next transaction on')
  }

  async release(): Promise<void> {
    await resume(this.#console, this.#options.database)
    this.#options.log.info({ routing: this.name }, 'writes are released')
  }

  async where(): Promise<Place | undefined> {
    return this.#placeOf(await this.#served())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#console[Symbol.asyncDispose]()
  }

  async #refuseSessionPooling(withinMs: number): Promise<void> {
    const served = await servedDatabase(this.#console, this.#options.database, withinMs)
    const pools = await sessionPools(this.#console, served, withinMs)
    if (pools.length === 0) return
    throw new ReplatformError('routing.failed', {
      message: `PgBouncer pools sessions (${pools.join(', ')}), so ${served.name} cannot be held.`,
      next: 'Set pool_mode = transaction, RELOAD PgBouncer, then cut over again.',
    })
  }

  /**
   * A PAUSE that is waiting holds new transactions already and goes on waiting when its connection is gone: only
   * RESUME on another connection ends it.
   */
  async #giveUpHold(failure: unknown): Promise<never> {
    const { database } = this.#options
    await using other = this.#console.another()
    await resume(other, database).catch((error: unknown) => {
      throw new ReplatformError('routing.failed', {
        message: `PgBouncer did not hold ${database}, and could not be told to release it: ${toReplatformError(error).message}`,
        untouched: `The clients of ${database} may still wait; the data is untouched.`,
        next: `Type RESUME ${this.#quotedName()} on PgBouncer's admin console, or restart it.`,
        cause: error,
      })
    })
    throw new ReplatformError('routing.failed', {
      message: `PgBouncer did not hold ${database} in time; it was released. ${toReplatformError(failure).message}`,
      next: 'Look for long transactions (SHOW CLIENTS, pg_stat_activity), or raise the pause budget; then cut over again.',
      cause: failure,
    })
  }

  async #rewrite(wanted: PgbouncerPlace): Promise<void> {
    const { configFile, database } = this.#options
    try {
      const file = await readFile(configFile, 'utf8')
      const lines = readDatabase(file, database).length
      if (lines !== 1) throw new Error(`it has ${lines} lines for ${database}, not one`)
      const pointed = pointDatabase(file, database, wanted)
      if (pointed !== file) await replaceFile(configFile, pointed)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new ReplatformError('routing.failed', { message: `${configFile} was not changed: ${reason}.`, cause })
    }
  }

  #served(): Promise<ServedDatabase> {
    return servedDatabase(this.#console, this.#options.database)
  }

  #placeOf(served: ServedDatabase): Place | undefined {
    const { old, new: fresh } = this.#options.places
    if (isAt(served, old)) return 'old'
    return isAt(served, fresh) ? 'new' : undefined
  }

  #quotedName(): string {
    return quotedName(this.#options.database)
  }
}

async function resume(console: AdminConsole, database: string): Promise<void> {
  // RESUME fails where nothing is paused.
  const { paused } = await servedDatabase(console, database)
  if (paused) await console.run(`RESUME ${quotedName(database)}`)
}

async function servedDatabase(console: AdminConsole, database: string, withinMs?: number): Promise<ServedDatabase> {
  const served = await findDatabase(console, database, withinMs)
  if (served) return served
  throw new ReplatformError('routing.failed', {
    message: `PgBouncer at ${console.address} serves no database ${database}.`,
  })
}

function isAt(served: ServedDatabase, place: PgbouncerPlace): boolean {
  return served.host === place.host && served.port === place.port && served.dbname === place.dbname
}

function quotedName(database: string): string {
  return `"${database.replaceAll('"', '""')}"`
}
