/** A PostgreSQL of the rig with passwords for the roles of the ledger, for the tests here. */
import { randomBytes } from 'node:crypto'
import type { PostgresqlMajor } from '@replatform/testkit/postgresql-binaries'
import { startPostgresql } from '@replatform/testkit/postgresql-server'

export interface TestDatabase extends AsyncDisposable {
  readonly major: PostgresqlMajor
  /** Address as the given role, with its password. The roles of the ledger exist once it has been set up. */
  url(role: 'postgres' | 'wallet_owner' | 'wallet', database?: string): string
  readonly ownerPassword: string
  readonly walletPassword: string
}

export async function startTestDatabase(major: PostgresqlMajor): Promise<TestDatabase> {
  const server = await startPostgresql({ major })
  const passwords = { postgres: server.password, wallet_owner: secret(), wallet: secret() }
  return {
    major,
    url: (role, database = 'postgres') => server.url(database, role, passwords[role]),
    ownerPassword: passwords.wallet_owner,
    walletPassword: passwords.wallet,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

function secret(): string {
  return randomBytes(12).toString('hex')
}
