import type { QueueFacts } from './brokers.ts'
import { type ManagementApi, segment } from './management-api.ts'

interface Rate {
  readonly rate?: number
}

interface QueueAnswer {
  readonly name: string
  readonly type?: string
  readonly messages_ready?: number
  readonly messages_unacknowledged?: number
  readonly message_bytes?: number
  readonly consumers?: number
  readonly message_stats?: { readonly publish_details?: Rate; readonly deliver_get_details?: Rate }
}

/** What the management API knows of every queue; its counters lag by some seconds. */
export async function readQueueFacts(api: ManagementApi, vhost: string): Promise<QueueFacts[]> {
  const queues = await api.get<QueueAnswer[]>(`queues/${segment(vhost)}`)
  return queues.map((queue) => ({
    name: queue.name,
    type: queue.type === 'quorum' || queue.type === 'stream' ? queue.type : 'classic',
    ready: queue.messages_ready ?? 0,
    unacknowledged: queue.messages_unacknowledged ?? 0,
    bytes: queue.message_bytes ?? 0,
    consumers: queue.consumers ?? 0,
    publishedPerSecond: queue.message_stats?.publish_details?.rate ?? 0,
    deliveredPerSecond: queue.message_stats?.deliver_get_details?.rate ?? 0,
  }))
}
