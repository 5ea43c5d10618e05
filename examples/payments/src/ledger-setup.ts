import { readFile } from 'node:fs/promises'
import { Client, escapeIdentifier, escapeLiteral } from 'pg'
import { scramVerifier } from './scram-verifier.ts'

export interface LedgerRoles {
  readonly ownerPassword: string
  readonly walletPassword: string
}

export interface LedgerSize {
  readonly accounts: number
  /** What each account starts with, in dong. */
  readonly opening: bigint
  /** About how many rows of history to fill in; 0 for none. */
  readonly historyRows: number
}

/** A seeded transfer is one row of transfers, idempotency and outbox, two of entries, and one event for every fifth. */
const rowsPerTransfer = 5.2

/** Creates the roles `wallet_owner` and `wallet`, or gives existing ones these passwords. */
export async function createRoles(adminUrl: string, roles: LedgerRoles): Promise<void> {
  await using admin = await connect(adminUrl)
  await createRole(admin.client, 'wallet_owner', roles.ownerPassword)
  await createRole(admin.client, 'wallet', roles.walletPassword)
}

/** Creates an empty database that belongs to `wallet_owner`. Fails when it exists. */
export async function createDatabase(adminUrl: string, database: string): Promise<void> {
  await using admin = await connect(adminUrl)
  await admin.client.query('GRANT wallet_owner TO CURRENT_USER')
  const name = escapeIdentifier(database)
  await admin.client.query(`CREATE DATABASE ${name} OWNER wallet_owner ENCODING 'UTF8' TEMPLATE template0`)
  await admin.client.query(`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`)
  await admin.client.query(`GRANT CONNECT ON DATABASE ${name} TO wallet`)
}

/** Creates the ledger's schema as its owner, in one transaction. The roles must exist. */
export async function createSchema(ownerUrl: string): Promise<void> {
  await using owner = await connect(ownerUrl)
  const scripts = await Promise.all(['schema.sql', 'booking.sql', 'seed.sql'].map(readScript))
  await owner.client.query(`BEGIN;\n${scripts.join('\n')}\nCOMMIT;`)
}

/** Opens accounts and books their past. May be called again for more. Returns how many rows the schema then holds. */
export async function seedLedger(ownerUrl: string, size: LedgerSize): Promise<number> {
  await using owner = await connect(ownerUrl)
  if (size.accounts > 0) await owner.client.query('CALL ledger.open_accounts($1, $2)', [size.accounts, size.opening])
  const transfers = Math.ceil(size.historyRows / rowsPerTransfer)
  if (transfers > 0) await owner.client.query('CALL ledger.fill_history($1)', [transfers])
  await owner.client.query('ANALYZE')
  return await countRows(owner.client)
}

async function createRole(client: Client, role: string, password: string): Promise<void> {
  const found = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [role])
  const verb = found.rowCount === 0 ? 'CREATE' : 'ALTER'
  await client.query(`${verb} ROLE ${role} LOGIN PASSWORD ${escapeLiteral(scramVerifier(password))}`)
}

async function countRows(client: Client): Promise<number> {
  const tables = ['accounts', 'holds', 'transfers', 'entries', 'idempotency', 'outbox', 'events']
  const counts = tables.map((table) => `(SELECT count(*) FROM ledger.${table})`)
  const result = await client.query<{ total: string }>(`SELECT ${counts.join(' + ')} AS total`)
  return Number(result.rows[0]?.total)
}

async function readScript(name: string): Promise<string> {
  return await readFile(new URL(`../sql/${name}`, import.meta.url), 'utf8')
}

async function connect(connectionString: string): Promise<AsyncDisposable & { readonly client: Client }> {
  const client = new Client({ connectionString, application_name: 'ledger-setup' })
  await client.connect()
  return { client, [Symbol.asyncDispose]: () => client.end() }
}
