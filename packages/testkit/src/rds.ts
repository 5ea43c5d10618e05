/**
 * What Amazon RDS gives its customers: no superuser, only a master role whose rights come from `rds_superuser`. A
 * model: plain PostgreSQL cannot hand out the extensions and event triggers that RDS allows its master in addition.
 */
import pg from 'pg'
import { type ExternalServer, externalServer } from './external-server.ts'
import { PostgresqlServer } from './postgresql-server.ts'

export class RdsServer implements AsyncDisposable {
  readonly masterUser: string
  readonly masterPassword: string
  readonly service = 'rds'
  /** For faults, and to look behind the curtain: nothing that is under test may get its superuser. */
  readonly server: PostgresqlServer

  constructor(server: PostgresqlServer, external?: ExternalServer) {
    this.server = server
    this.masterUser = external ? server.superuser : 'master'
    this.masterPassword = external ? server.password : 'rig-master'
  }

  masterUrl(database = 'postgres'): string {
    return this.server.url(database, this.masterUser, this.masterPassword)
  }

  /** The database belongs to the master, as one that is made on RDS does. */
  async createDatabase(name: string): Promise<void> {
    await this.server.query(`CREATE DATABASE ${pg.escapeIdentifier(name)} OWNER ${this.masterUser}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
  }
}

/**
 * Gives a server of the rig its `rds_superuser` and its master. The server is from now on disposed of with it.
 * `RIG_RDS_POSTGRESQL_17_URL` and the like name a real one, and its master, to be used instead.
 */
export async function asRds(server: PostgresqlServer): Promise<RdsServer> {
  const external = externalServer(`rds-postgresql-${server.major}`)
  if (external) {
    await server[Symbol.asyncDispose]()
    return new RdsServer(new PostgresqlServer(external, server.major), external)
  }
  const rds = new RdsServer(server)
  await server.query(`
    CREATE ROLE rds_superuser NOLOGIN;
    GRANT pg_monitor, pg_signal_backend, pg_read_all_stats TO rds_superuser WITH ADMIN OPTION;
    CREATE ROLE ${rds.masterUser} LOGIN CREATEROLE CREATEDB REPLICATION
      PASSWORD ${pg.escapeLiteral(rds.masterPassword)} IN ROLE rds_superuser;
  `)
  // RDS lets its master set this everywhere; before 15 plain PostgreSQL has no way to grant it.
  if (server.major >= 15) {
    await server.query('GRANT pg_checkpoint TO rds_superuser WITH ADMIN OPTION')
    await server.query('GRANT SET ON PARAMETER session_replication_role TO rds_superuser')
  }
  return rds
}
