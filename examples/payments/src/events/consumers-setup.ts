import { readFile } from 'node:fs/promises'
import { Client } from 'pg'
import { consumerNames } from './topology.ts'

/**
 * Creates the consumers' schema in a database of their own, and lets them begin where the ledger is now. Call when
 * nobody pays and everything that was paid has been published: their accounts then continue without a gap.
 */
export async function createConsumers(ownerUrl: string, ledgerUrl: string): Promise<void> {
  await using ledger = await connect(ledgerUrl)
  const waiting = await ledger.client.query('SELECT FROM ledger.outbox WHERE published_at IS NULL LIMIT 1')
  if (waiting.rowCount !== 0) throw new Error('events of the ledger are waiting for consumers that were there before')
  const beginning = await ledger.client.query('SELECT coalesce(max(id), 0) AS id FROM ledger.outbox')
  const accounts = await ledger.client.query('SELECT id, entry_count FROM ledger.accounts WHERE entry_count > 0')

  await using owner = await connect(ownerUrl)
  const schema = await readFile(new URL('../../sql/consumers.sql', import.meta.url), 'utf8')
  await owner.client.query(`BEGIN;\n${schema}`)
  await owner.client.query('INSERT INTO consumers.beginning VALUES ($1)', [beginning.rows[0].id])
  await owner.client.query(
    `INSERT INTO consumers.positions
     SELECT consumer, account, seq FROM unnest($1::text[]) consumer, unnest($2::bigint[], $3::bigint[]) a (account, seq)`,
    [consumerNames, accounts.rows.map(({ id }) => id), accounts.rows.map(({ entry_count }) => entry_count)],
  )
  await owner.client.query('COMMIT')
}

async function connect(connectionString: string): Promise<AsyncDisposable & { readonly client: Client }> {
  const client = new Client({ connectionString, application_name: 'consumers-setup' })
  await client.connect()
  return { client, [Symbol.asyncDispose]: () => client.end() }
}
