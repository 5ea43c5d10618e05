/** The server's own replication, as the peer. */
import { pollUntil } from '@replatform/testkit/poll-until'
import type { RedisServer } from '@replatform/testkit/redis-server'

/** Resolves when the target has the snapshot and follows. */
export async function startReplica({ host, port }: RedisServer, target: RedisServer): Promise<void> {
  await target.command('REPLICAOF', host, String(port))
  const isUp = async () => /master_link_status:up/.test(String(await target.command('INFO', 'replication')))
  await pollUntil('the replica has everything', isUp, { withinMs: 120_000, everyMs: 5 })
}
