/**
 * Brings every server of the rig to this machine, or those that are named, so that nobody waits for a download later.
 * Tests that run alone bring what they need by themselves. Quick when everything is there.
 */
import { activemqFiles } from './activemq-distribution.ts'
import { installMoto } from './aws-emulator.ts'
import { debianProgram } from './debian-package.ts'
import { elasticsearchDistribution } from './elasticsearch-distribution.ts'
import { java17 } from './java-runtime.ts'
import { installMariadb } from './mariadb-server.ts'
import { installMongod } from './mongodb-server.ts'
import { opensearchDistribution } from './opensearch-distribution.ts'
import { postgresqlTools } from './postgresql-tools.ts'
import { installRedis } from './redis-binaries.ts'
import { assembleSearchServer } from './search-distribution.ts'
import { installVpnLab } from './vpn-lab.ts'

/** One after the other: packages wait for each other's lock anyway, and a failure is told from the next one's. */
const steps: Readonly<Record<string, () => Promise<unknown>>> = {
  'pg-tools': () => postgresqlTools(),
  'haproxy': () => debianProgram('haproxy', 'haproxy'),
  'rabbitmq': () => debianProgram('rabbitmq-server', 'rabbitmq-server'),
  'mariadb': () => installMariadb(),
  'redis': () => installRedis('redis'),
  'valkey': () => installRedis('valkey'),
  'redis-6.2': () => installRedis('redis', '6.2'),
  'redis-5.0': () => installRedis('redis', '5.0'),
  'redis-3.2': () => installRedis('redis', '3.2'),
  'java': () => java17(),
  'activemq': () => activemqFiles(),
  'elasticsearch': () => assembleSearchServer(elasticsearchDistribution),
  'opensearch': () => assembleSearchServer(opensearchDistribution),
  'mongodb': () => installMongod(),
  'aws': () => installMoto(),
  'vpn': () => installVpnLab(),
}

const named = process.argv.slice(2)
let missing = 0
for (const [name, step] of Object.entries(steps)) {
  if (named.length > 0 && !named.includes(name)) continue
  try {
    await step()
  } catch (error) {
    missing++
    console.error(`replatform: ${error instanceof Error ? error.message : error}`)
  }
}
process.exitCode = missing > 0 ? 1 : 0
