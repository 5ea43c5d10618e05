/** `npm run soak -- <name> [--kills 30] [--json]`: hours of what tests do for seconds. Ends with 1 at the first loss. */
import { parseArgs } from 'node:util'
import { soakMessaging } from './soak-messaging.ts'
import { soakPauses } from './soak-pauses.ts'
import { soakPostgresql } from './soak-postgresql.ts'
import { soakPostgresqlPauses } from './soak-postgresql-pauses.ts'
import { soakRedisCompare } from './soak-redis-compare.ts'
import { soakRedisFuzz } from './soak-redis-fuzz.ts'
import { soakSchema } from './soak-schema.ts'
import { soakWaves } from './soak-waves.ts'
import { soakWorkers } from './soak-workers.ts'

export interface SoakOptions {
  readonly kills: number
  readonly moves: number
  readonly cutovers: number
  readonly seeds: number
  readonly inputs: number
  readonly keys: number
  readonly messages: number
  readonly seed: number
  readonly log: (line: string) => void
}

interface Soak {
  readonly title: string
  /** Throws at the first thing that is wrong; returns figures. */
  readonly run: (options: SoakOptions) => Promise<object>
}

const soaks: Readonly<Record<string, Soak>> = {
  postgresql: {
    title: 'load, follow and compare under payments, with kills of whatever takes part (--kills)',
    run: soakPostgresql,
  },
  schema: { title: 'seeded plans with changes of the schema under one move (--seeds)', run: soakSchema },
  'redis-fuzz': { title: 'damaged snapshots and streams of Redis (--inputs)', run: soakRedisFuzz },
  waves: { title: 'cutovers of a wave under payments, with kills of whatever takes part (--kills)', run: soakWaves },
  pauses: { title: 'what payments feel of a wave, with its parts (--cutovers)', run: soakPauses },
  'postgresql-pauses': {
    title: 'what 200 payments a second feel of cutovers of one PostgreSQL database (--cutovers)',
    run: soakPostgresqlPauses,
  },
  workers: {
    title: 'many small moves by 1, 2 and 4 workers, and by 3 of which two are killed (--moves)',
    run: soakWorkers,
  },
  messaging: { title: 'memory of the bridge with a backlog of very many messages (--messages)', run: soakMessaging },
  'redis-compare': { title: 'memory of comparing very many keys (--keys)', run: soakRedisCompare },
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: 'string', default: '30' },
    moves: { type: 'string', default: '50' },
    cutovers: { type: 'string', default: '20' },
    seeds: { type: 'string', default: '500' },
    inputs: { type: 'string', default: '1000000' },
    keys: { type: 'string', default: '10000000' },
    messages: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const [name] = positionals
const soak = name === undefined ? undefined : soaks[name]
if (!soak || values.help) {
  const names = Object.entries(soaks).map(([key, { title }]) => `  ${key.padEnd(14)}${title}`)
  console.error(
    `Usage: npm run soak -- <name> [--kills 30] [--moves 50] [--cutovers 20] [--seeds 500] [--inputs 1000000] [--keys n] [--messages n] [--seed n] [--json]\n\n${names.join('\n')}`,
  )
  process.exit(values.help ? 0 : 2)
}

const log = (line: string) => console.error(`${new Date().toISOString().slice(11, 19)} ${line}`)
const seed = Number(values.seed)
log(`seed ${seed}`)
const { kills, moves, cutovers, seeds, inputs, keys, messages } = values
const options = {
  kills: Number(kills),
  moves: Number(moves),
  cutovers: Number(cutovers),
  seeds: Number(seeds),
  inputs: Number(inputs),
  keys: Number(keys),
  messages: Number(messages),
}
const figures = await soak.run({ ...options, seed, log })
if (values.json) console.log(JSON.stringify({ soak: name, seed, ...figures }))
else console.table(figures)
process.exit(0)
