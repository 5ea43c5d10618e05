/**
 * What payments feel of a cutover of one PostgreSQL database behind PgBouncer that goes over and back in turn: the
 * longest that one of 200 payments a second waits from the instant at which it was due.
 */
import { CliRig } from '@replatform/cli/test-fixtures/cli-rig'
import { type PgbouncerServer, startPgbouncer } from '@replatform/testkit/pgbouncer-server'
import { pollUntil } from '@replatform/testkit/poll-until'
import { startPostgresql } from '@replatform/testkit/postgresql-server'
import { asRds } from '@replatform/testkit/rds'
import { PacedPayers } from './paced-payers.ts'
import type { SoakOptions } from './soak.ts'
import { type Felt, figuresOf } from './soak-pauses.ts'

const database = 'wallet'
const move = 'ledger'
const wave = 'relational'
const app = { user: 'app', password: 'app-password' }
const rate = { perSecond: 200, clients: 20 }
const patience = { withinMs: 120_000, everyMs: 100 }

const roles = `CREATE ROLE owner NOLOGIN; CREATE ROLE app LOGIN PASSWORD '${app.password}'`
const schema = `
CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE payments (id bigserial PRIMARY KEY, reference text NOT NULL UNIQUE, amount bigint NOT NULL);
INSERT INTO accounts SELECT i, 1000 FROM generate_series(1, 1000) i;
ALTER TABLE accounts OWNER TO owner; ALTER TABLE payments OWNER TO owner;
GRANT ALL ON accounts, payments TO app; GRANT USAGE ON SEQUENCE payments_id_seq TO app`

export async function soakPostgresqlPauses({ cutovers, log }: SoakOptions): Promise<object> {
  await using opened = new AsyncDisposableStack()
  const old = opened.use(await startPostgresql({ major: 13 }))
  const fresh = opened.use(await asRds(await startPostgresql({ major: 17 })))
  for (const server of [old, fresh.server]) await server.query(roles)
  await fresh.server.query(`GRANT owner TO ${fresh.masterUser}`)
  await old.createDatabase(database)
  await old.query(schema, database)
  await fresh.createDatabase(database)
  await fresh.server.query('GRANT CREATE ON SCHEMA public TO owner', database)
  const databases = { [database]: { host: old.host, port: old.port, dbname: database } }
  const pgbouncer = opened.use(await startPgbouncer({ databases, users: { [app.user]: app.password } }))
  const env = { OLD_URL: old.url(database), NEW_URL: fresh.masterUrl(database), PGBOUNCER_ADMIN: pgbouncer.adminUrl }
  const rig = opened.use(await CliRig.create({ estate: estateOf(pgbouncer), env }))
  const payers = opened.use(new PacedPayers({ ...rate, url: pgbouncer.url(database, app.user, app.password) }))
  await rig.worker()
  await rig.run('start', move, '--until', 'in-sync')
  await rig.run('compare', move)
  await rig.run('rehearse', wave)
  const felt: Felt[] = []
  for (let count = 1; count <= cutovers; count++) {
    const verb = count % 2 === 1 ? 'cutover' : 'rollback'
    await paysOn(payers)
    payers.takeLongestMs()
    const { id } = await rig.client.askWave(verb, wave, { actor: 'soak@rig' })
    const ended = async () => (await rig.client.operation(id)).state !== 'running'
    await pollUntil(`${verb} ends`, ended, patience)
    await paysOn(payers)
    const gapMs = payers.takeLongestMs()
    const cutover = (await rig.client.status()).waves[0]?.lastCutover
    if (cutover?.outcome !== 'committed') throw new Error(`${verb} ${count} ended ${cutover?.outcome}`)
    felt.push({ gapMs, cutover })
    log(
      `${count} ${verb}: gap ${Math.round(gapMs)} ms, pause ${cutover.pauseMs} ms, predicted ${cutover.predictedMs} ms`,
    )
    const state = verb === 'cutover' ? 'reversing' : 'rolled-back'
    await rig.until(`it is ${state}`, (status) => status.state === state && !status.paused && status.follow !== null)
  }
  const within = (ms: number) => felt.filter(({ gapMs }) => gapMs <= ms).length
  return { ...figuresOf(felt), 'gaps of at most 500 ms': within(500), 'gaps of at most 300 ms': within(300) }
}

async function paysOn(payers: PacedPayers): Promise<void> {
  const before = payers.acknowledged
  await pollUntil('payments go on', () => payers.acknowledged > before + 2 * rate.clients, patience)
}

function estateOf({ configFile: config }: PgbouncerServer): object {
  const store = {
    source: { kind: 'postgresql', url: 'env:OLD_URL' },
    target: { kind: 'postgresql', service: 'rds', url: 'env:NEW_URL' },
    switch: { pgbouncer: { admin: 'env:PGBOUNCER_ADMIN', database, config } },
  }
  const gates = { verifiedWithin: '1h', rehearsedWithin: '1h', noOpenIncident: 'severe' }
  const moves = { name: wave, phase: 'rehost', moves: [move], pauseBudget: '20s', gates }
  return { estate: 'wallet', stores: { [move]: store }, waves: [moves] }
}
