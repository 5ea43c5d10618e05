import { type PgbouncerServer, startPgbouncer } from '@replatform/testkit/pgbouncer-server'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { asRds, type RdsServer } from '@replatform/testkit/rds'

export const database = 'wallet'
const app = { user: 'app', password: 'app-password' }

const roles = `CREATE ROLE owner NOLOGIN; CREATE ROLE app LOGIN PASSWORD '${app.password}'`

const schema = `
CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE payments (id bigserial PRIMARY KEY, reference text NOT NULL UNIQUE, amount bigint NOT NULL);
INSERT INTO accounts SELECT i, 1000 FROM generate_series(1, 1000) i;
ALTER TABLE accounts OWNER TO owner; ALTER TABLE payments OWNER TO owner;
GRANT ALL ON accounts, payments TO app; GRANT USAGE ON SEQUENCE payments_id_seq TO app`

/** An old server with a database of payments, a new one in the shape of RDS, and PgBouncer in front of the old one. */
export class WalletServers implements AsyncDisposable {
  readonly old: PostgresqlServer
  readonly fresh: RdsServer
  readonly pgbouncer: PgbouncerServer
  readonly #opened: AsyncDisposableStack

  static async start(): Promise<WalletServers> {
    await using opened = new AsyncDisposableStack()
    const old = opened.use(await startPostgresql({ major: 13 }))
    const fresh = opened.use(await asRds(await startPostgresql({ major: 17 })))
    for (const server of [old, fresh.server]) await server.query(roles)
    await fresh.server.query(`GRANT owner TO ${fresh.masterUser}`)
    await createEmpty(fresh)
    await old.createDatabase(database)
    await old.query(schema, database)
    const databases = { [database]: { host: old.host, port: old.port, dbname: database } }
    const pgbouncer = opened.use(await startPgbouncer({ databases, users: { [app.user]: app.password } }))
    return new WalletServers({ old, fresh, pgbouncer, opened: opened.move() })
  }

  private constructor(parts: Parts) {
    this.old = parts.old
    this.fresh = parts.fresh
    this.pgbouncer = parts.pgbouncer
    this.#opened = parts.opened
  }

  /** As the application pays, wherever PgBouncer points. */
  get url(): string {
    return this.pgbouncer.url(database, app.user, app.password)
  }

  /** As the application would pay past PgBouncer. */
  directUrl(server: PostgresqlServer): string {
    return server.url(database, app.user, app.password)
  }

  /** The store of an estate. */
  get store(): object {
    return {
      source: { kind: 'postgresql', url: 'env:OLD_URL' },
      target: { kind: 'postgresql', service: 'rds', url: 'env:NEW_URL' },
      switch: { pgbouncer: { admin: 'env:PGBOUNCER_ADMIN', database, config: this.pgbouncer.configFile } },
    }
  }

  /** What that store refers to. */
  get env(): Record<string, string> {
    return {
      OLD_URL: this.old.url(database),
      NEW_URL: this.fresh.masterUrl(database),
      PGBOUNCER_ADMIN: this.pgbouncer.adminUrl,
    }
  }

  /** What a person does after a move was cancelled. */
  async emptyNewSide(): Promise<void> {
    await this.fresh.server.query(`DROP DATABASE ${database} WITH (FORCE)`)
    await createEmpty(this.fresh)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }
}

async function createEmpty(fresh: RdsServer): Promise<void> {
  await fresh.createDatabase(database)
  // Since 15 a schema is closed to everybody but its owner.
  await fresh.server.query('GRANT CREATE ON SCHEMA public TO owner', database)
}

interface Parts {
  readonly old: PostgresqlServer
  readonly fresh: RdsServer
  readonly pgbouncer: PgbouncerServer
  readonly opened: AsyncDisposableStack
}
