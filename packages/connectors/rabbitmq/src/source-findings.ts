import { evidence, type Finding } from '@replatform/core/finding'
import { segment } from './management-api.ts'
import type { RabbitmqBroker } from './rabbitmq-broker.ts'

interface ConnectionFacts {
  readonly user?: string
  readonly protocol?: string
  readonly vhost?: string
  readonly client_properties?: { readonly product?: string; readonly connection_name?: string }
}

/**
 * What the old broker tells about who uses it and whether the mover may do what it must. `next` is null where the other
 * broker is none of RabbitMQ.
 */
export async function assessSource({
  old,
  next,
}: {
  readonly old: RabbitmqBroker
  readonly next: RabbitmqBroker | null
}): Promise<Finding[]> {
  const rightsOld = await missingRights(old, 'source')
  const rightsNext = next ? await missingRights(next, 'target') : []
  const connections = await old.api.get<ConnectionFacts[]>(`vhosts/${segment(old.address.vhost)}/connections`)
  return [...rightsOld, ...rightsNext, ...sharedUser(old, connections), ...whoIsConnected(old, connections)]
}

async function missingRights(broker: RabbitmqBroker, side: string): Promise<Finding[]> {
  const { tags } = await broker.api.get<{ tags: string | readonly string[] }>('whoami')
  const all = typeof tags === 'string' ? tags.split(',') : tags
  if (all.includes('administrator')) return []
  return [
    {
      id: 'rabbitmq.missing-rights',
      severity: 'blocker',
      title: `The mover's user on the ${side} is no administrator: it could neither fence nor read what is there.`,
      evidence: [`${side}: ${broker.address.user} has the tags ${all.join(', ') || 'none'}`],
      remedy: `rabbitmqctl set_user_tags ${broker.address.user} administrator`,
    },
  ]
}

/** The fence tells applications from the mover by their user. */
function sharedUser({ address }: RabbitmqBroker, connections: readonly ConnectionFacts[]): Finding[] {
  const isOurs = (one: ConnectionFacts) => one.client_properties?.connection_name?.startsWith('replatform ') === true
  const shared = connections.filter((one) => one.user === address.user && !isOurs(one))
  if (shared.length === 0) return []
  return [
    {
      id: 'rabbitmq.shared-user',
      severity: 'blocker',
      title: "Applications connect with the mover's user: a fence could not tell them apart.",
      evidence: [`${address.user}: ${shared.length} connections of others`],
      remedy:
        'rabbitmqctl add_user replatform …; rabbitmqctl set_user_tags replatform administrator; name it in the address.',
    },
  ]
}

function whoIsConnected({ address }: RabbitmqBroker, connections: readonly ConnectionFacts[]): Finding[] {
  const counts = new Map<string, number>()
  for (const { user = '?', protocol = '?', client_properties: client } of connections) {
    if (user === address.user) continue
    const key = `${user} by ${protocol}${client?.product ? ` (${client.product})` : ''}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  if (counts.size === 0) return []
  return [
    {
      id: 'rabbitmq.connections',
      severity: 'note',
      title: 'These applications are connected; the cutover closes their connections.',
      evidence: evidence([...counts].map(([key, count]) => `${key}: ${count}`)),
      remedy: 'See that each of them connects again by itself, to the address that your switchover gives it.',
    },
  ]
}
