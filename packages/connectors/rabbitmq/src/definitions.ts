/** What a broker of RabbitMQ is made of, as `GET /api/definitions` tells it: typed, checked, one virtual host at a time. */
import { ReplatformError } from '@replatform/core/errors'

export type Arguments = Readonly<Record<string, unknown>>

export interface ExchangeDefinition {
  readonly name: string
  /** `direct`, `topic`, `fanout`, `headers`, or what a plugin adds. */
  readonly type: string
  readonly durable: boolean
  readonly autoDelete: boolean
  readonly internal: boolean
  readonly arguments: Arguments
}

export interface QueueDefinition {
  readonly name: string
  readonly durable: boolean
  readonly autoDelete: boolean
  /** `x-queue-type` stands among them where it was declared. */
  readonly arguments: Arguments
}

export interface BindingDefinition {
  readonly source: string
  readonly destination: string
  readonly destinationType: 'queue' | 'exchange'
  readonly routingKey: string
  readonly arguments: Arguments
}

export interface PolicyDefinition {
  readonly name: string
  /** A regular expression on names. */
  readonly pattern: string
  readonly applyTo: string
  readonly priority: number
  readonly definition: Arguments
}

export interface UserDefinition {
  readonly name: string
  readonly tags: readonly string[]
  /** Salted; carries over to another broker. Never shown. */
  readonly passwordHash: string
  readonly hashingAlgorithm: string
}

/** Regular expressions on names of the virtual host, as RabbitMQ checks them. */
export interface Permissions {
  readonly configure: string
  readonly write: string
  readonly read: string
}

export interface UserPermissions extends Permissions {
  readonly user: string
}

export interface TopicPermissions {
  readonly user: string
  readonly exchange: string
  readonly write: string
  readonly read: string
}

/** A runtime parameter: `shovel`, `federation-upstream` … */
export interface ParameterDefinition {
  readonly component: string
  readonly name: string
}

/** One virtual host, with the users of the whole broker. */
export interface Definitions {
  readonly version: string
  readonly vhost: string
  /** Every virtual host of the broker: only `vhost` is moved. */
  readonly vhosts: readonly string[]
  readonly exchanges: readonly ExchangeDefinition[]
  readonly queues: readonly QueueDefinition[]
  readonly bindings: readonly BindingDefinition[]
  readonly policies: readonly PolicyDefinition[]
  readonly users: readonly UserDefinition[]
  readonly permissions: readonly UserPermissions[]
  readonly topicPermissions: readonly TopicPermissions[]
  readonly parameters: readonly ParameterDefinition[]
}

/** Pure. Throws `rabbitmq.unexpected-answer` when it is not what a broker of RabbitMQ exports. */
export function parseDefinitions(exported: unknown, vhost: string): Definitions {
  const all = new Fields(exported, 'definitions')
  const here = (name: string) => inOrder(all.list(name).filter((entry) => entry.text('vhost') === vhost))
  return {
    version: all.text('rabbitmq_version', all.text('rabbit_version', '?')),
    vhost,
    vhosts: all.list('vhosts').map((entry) => entry.text('name')),
    exchanges: here('exchanges').map((entry) => ({
      name: entry.text('name'),
      type: entry.text('type'),
      durable: entry.flag('durable'),
      autoDelete: entry.flag('auto_delete'),
      internal: entry.flag('internal'),
      arguments: entry.record('arguments'),
    })),
    queues: here('queues').map((entry) => ({
      name: entry.text('name'),
      durable: entry.flag('durable'),
      autoDelete: entry.flag('auto_delete'),
      arguments: entry.record('arguments'),
    })),
    bindings: here('bindings').map((entry) => ({
      source: entry.text('source'),
      destination: entry.text('destination'),
      destinationType: entry.text('destination_type') === 'exchange' ? 'exchange' : 'queue',
      routingKey: entry.text('routing_key'),
      arguments: entry.record('arguments'),
    })),
    policies: here('policies').map((entry) => ({
      name: entry.text('name'),
      pattern: entry.text('pattern'),
      applyTo: entry.text('apply-to', 'all'),
      priority: entry.number('priority'),
      definition: entry.record('definition'),
    })),
    users: all.list('users').map((entry) => ({
      name: entry.text('name'),
      tags: entry.tags('tags'),
      passwordHash: entry.text('password_hash', ''),
      hashingAlgorithm: entry.text('hashing_algorithm', ''),
    })),
    permissions: here('permissions').map((entry) => ({
      user: entry.text('user'),
      configure: entry.text('configure'),
      write: entry.text('write'),
      read: entry.text('read'),
    })),
    topicPermissions: here('topic_permissions').map((entry) => ({
      user: entry.text('user'),
      exchange: entry.text('exchange', ''),
      write: entry.text('write'),
      read: entry.text('read'),
    })),
    parameters: here('parameters').map((entry) => ({ component: entry.text('component'), name: entry.text('name') })),
  }
}

export type QueueType = 'classic' | 'quorum' | 'stream'

/** `fallback`: what the broker makes of a queue that does not say; classic before 4.x and by default. */
export function queueTypeOf(queue: QueueDefinition, fallback: QueueType = 'classic'): QueueType {
  return (queue.arguments['x-queue-type'] as QueueType | undefined) ?? fallback
}

/** The broker tells them in any order; a plan must be the same each time. */
function inOrder(entries: readonly Fields[]): Fields[] {
  const keys = ['name', 'source', 'destination', 'routing_key', 'user', 'exchange']
  const orderOf = (entry: Fields) => keys.map((key) => entry.text(key, '')).join('\0')
  const sorted = entries.map((entry) => ({ entry, order: orderOf(entry) }))
  return sorted.sort((a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : 0)).map(({ entry }) => entry)
}

class Fields {
  readonly #fields: Record<string, unknown>
  readonly #path: string

  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) unexpected(path)
    this.#fields = value as Record<string, unknown>
    this.#path = path
  }

  text(name: string, fallback?: string): string {
    const value = this.#fields[name] ?? fallback
    return typeof value === 'string' ? value : unexpected(`${this.#path}.${name}`)
  }

  number(name: string): number {
    const value = this.#fields[name] ?? 0
    return typeof value === 'number' ? value : unexpected(`${this.#path}.${name}`)
  }

  flag(name: string): boolean {
    return this.#fields[name] === true
  }

  record(name: string): Arguments {
    const value = this.#fields[name] ?? {}
    // Empty objects come as empty lists where PHP or older management plugins wrote them.
    if (Array.isArray(value) && value.length === 0) return {}
    return typeof value === 'object' && !Array.isArray(value)
      ? (value as Arguments)
      : unexpected(`${this.#path}.${name}`)
  }

  /** A list of texts, or one text with commas as before 3.9. */
  tags(name: string): string[] {
    const value = this.#fields[name] ?? []
    if (Array.isArray(value)) return value.map(String)
    return typeof value === 'string'
      ? value.split(',').filter((tag) => tag !== '')
      : unexpected(`${this.#path}.${name}`)
  }

  list(name: string): Fields[] {
    const value = this.#fields[name] ?? []
    if (!Array.isArray(value)) unexpected(`${this.#path}.${name}`)
    return value.map((entry, index) => new Fields(entry, `${this.#path}.${name}[${index}]`))
  }
}

function unexpected(path: string): never {
  throw new ReplatformError('rabbitmq.unexpected-answer', {
    message: `The management API answered something else than RabbitMQ's definitions at ${path}.`,
  })
}
