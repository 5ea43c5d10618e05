/** What may become of a cluster while it is moved. */
import { pollUntil } from '@replatform/testkit/poll-until'
import type { RedisServer } from '@replatform/testkit/redis-server'
import { openConnection } from '../connection.ts'
import type { RespValue } from '../resp-reader.ts'
import type { SlotRig } from './slot-rig.ts'

export function replicasOf(rig: SlotRig, side: 'source' | 'target'): [RedisServer] {
  return [...(rig.clusters[side]?.replicas ?? [])] as [RedisServer]
}

/** The rig's own user is fenced out like everybody. */
export async function asMover(server: RedisServer, command: readonly string[]) {
  await using connection = await openConnection({ url: server.url('mover', 'mover-secret'), side: 'target' })
  return await connection.command(...command)
}

export async function takeOver(replica: RedisServer): Promise<void> {
  await asMover(replica, ['CLUSTER', 'FAILOVER', 'TAKEOVER'])
  await pollUntil('the replica is the primary', async () => {
    const role = await asMover(replica, ['ROLE'])
    return Array.isArray(role) && String(role[0]) === 'master'
  })
}

/** Until another server of the cluster names it in the place of the one before. */
export async function untilLedTo(replica: RedisServer, primary: RedisServer, asked: RedisServer): Promise<void> {
  await pollUntil('the cluster leads to the new primary', async () => {
    const slots = textOf(await asMover(asked, ['CLUSTER', 'SLOTS']))
    return slots.includes(`${replica.port}`) && !slots.includes(`${primary.port}`)
  })
}

/** As `redis-cli --cluster reshard` does, for one slot. */
export async function moveSlotOf(key: string, servers: readonly RedisServer[]): Promise<void> {
  const { finish } = await beginSlotMove(key, servers)
  await finish()
}

/** Both servers know that the slot is on its way, and no key of it has moved yet. */
export async function beginSlotMove(key: string, servers: readonly RedisServer[]): Promise<SlotMove> {
  const [first] = servers as [RedisServer]
  const ask = async (server: RedisServer, ...command: string[]) => asMover(server, command)
  const slot = String(await ask(first, 'CLUSTER', 'KEYSLOT', key))
  const shard = Math.floor((Number(slot) * servers.length) / 16_384)
  const from = servers[shard] as RedisServer
  const to = servers[(shard + 1) % servers.length] as RedisServer
  const [fromId, toId] = [String(await ask(from, 'CLUSTER', 'MYID')), String(await ask(to, 'CLUSTER', 'MYID'))]
  await ask(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId)
  await ask(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
  return {
    finish: async () => {
      const keys = ((await ask(from, 'CLUSTER', 'GETKEYSINSLOT', slot, '1000')) as Buffer[]).map(String)
      const login = ['AUTH2', 'mover', 'mover-secret']
      if (keys.length > 0) {
        await ask(from, 'MIGRATE', to.host, String(to.port), '', '0', '10000', ...login, 'KEYS', ...keys)
      }
      await ask(to, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId)
      for (const server of servers) await ask(server, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId)
    },
  }
}

interface SlotMove {
  finish(): Promise<void>
}

function textOf(value: RespValue): string {
  return Array.isArray(value) ? value.map(textOf).join(' ') : String(value)
}
