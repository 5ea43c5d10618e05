/** The translation RabbitMQ → RabbitMQ: planned from the definitions, held against the target, applied object by object. */
import { isDeepStrictEqual } from 'node:util'
import { ReplatformError } from '@replatform/core/errors'
import type { Finding } from '@replatform/core/finding'
import { fenceVhost, removePermissions, setPermissions, withhold } from './broker-fence.ts'
import type { QueueFacts, TopologyChange, TopologyTranslation } from './brokers.ts'
import type { Definitions, Permissions, QueueDefinition } from './definitions.ts'
import { segment } from './management-api.ts'
import type { PlaceInFile } from './plan-text.ts'
import { planTopology } from './plan-topology.ts'
import type { RabbitmqBroker } from './rabbitmq-broker.ts'
import { type RabbitmqPlan, readRabbitmqPlan } from './rabbitmq-plan.ts'
import { type BrokerRules, rulesOf } from './service-rules.ts'
import { topologyFindings } from './topology-findings.ts'

const fenceWithinMs = 10_000

export class RabbitmqTopologyTranslation implements TopologyTranslation {
  readonly #target: RabbitmqBroker
  readonly #service: string | undefined

  constructor(target: RabbitmqBroker, service: string | undefined) {
    this.#target = target
    this.#service = service
  }

  async plan(definitions: Definitions, facts: readonly QueueFacts[]): Promise<RabbitmqPlan> {
    const there = await this.#target.find()
    const { isOurs } = this.#target.fencePlace
    const rules = await this.#rules()
    return planTopology({ definitions, facts, rules, targetPolicies: there?.policies ?? [], isOurs })
  }

  parse(edited: unknown, placeOf?: PlaceInFile): RabbitmqPlan {
    return readRabbitmqPlan(edited, placeOf)
  }

  configuration(): null {
    return null
  }

  async assess(options: {
    plan: RabbitmqPlan
    definitions: Definitions
    facts: readonly QueueFacts[]
  }): Promise<Finding[]> {
    const changes = await this.diff(options.plan)
    const occupied = (await this.#target.find()) ? (await this.#target.facts()).filter(({ ready }) => ready > 0) : []
    const isPrepared = await this.#target.isFenced()
    return topologyFindings({ ...options, changes, occupied, isPrepared, rules: await this.#rules() })
  }

  async diff(plan: RabbitmqPlan): Promise<TopologyChange[]> {
    return (await this.#steps(plan)).map(({ change }) => change)
  }

  async apply(plan: RabbitmqPlan, definitions: Definitions): Promise<void> {
    const differing = (await this.#steps(plan)).filter(({ change }) => change.action === 'differs')
    if (differing.length > 0) {
      const objects = differing.map(({ change }) => `${change.object} (${change.detail})`)
      throw new ReplatformError('topology.differs', { message: `The target has otherwise: ${objects.join(', ')}.` })
    }
    const { fencePlace } = this.#target
    if (!(await this.#target.find())) await this.#createVhost()
    await this.#applyUsers(plan, definitions)
    for (const { apply } of await this.#steps(plan)) await apply()
    await fenceVhost(fencePlace, { withinMs: fenceWithinMs, turn: 0 })
    await this.admit(plan)
  }

  async #createVhost(): Promise<void> {
    const { address, api, fencePlace } = this.#target
    await api.put(`vhosts/${segment(address.vhost)}`, {})
    await setPermissions(fencePlace, address.user, { configure: '.*', write: '.*', read: '.*' })
  }

  async admit(plan: RabbitmqPlan): Promise<void> {
    const later = Object.fromEntries(plan.topology.users.map(({ name, permissions }) => [name, permissions]))
    await withhold(this.#target.fencePlace, later satisfies Record<string, Permissions>)
    for (const { name, before } of plan.topology.users) {
      if (before) await setPermissions(this.#target.fencePlace, name, before)
      else await removePermissions(this.#target.fencePlace, name)
    }
  }

  /** Accounts with the passwords that they have; what they may do is withheld until the cutover. */
  async #applyUsers(plan: RabbitmqPlan, { users }: Definitions): Promise<void> {
    const { api, address } = this.#target
    const there = new Set((await api.get<{ name: string }[]>('users')).map(({ name }) => name))
    for (const { name } of plan.topology.users) {
      const user = users.find((one) => one.name === name)
      if (there.has(name) || !user) continue
      const { passwordHash, hashingAlgorithm, tags } = user
      const body = { password_hash: passwordHash, hashing_algorithm: hashingAlgorithm, tags: tags.join(',') }
      await api.put(`users/${segment(name)}`, body)
    }
    for (const { user, exchange, write, read } of plan.topology.topicPermissions) {
      await api.put(`topic-permissions/${segment(address.vhost)}/${segment(user)}`, { exchange, write, read })
    }
  }

  async #steps(plan: RabbitmqPlan): Promise<Step[]> {
    const there = await this.#target.find()
    const { defaultType } = await this.#rules()
    const { api, address } = this.#target
    const vhost = segment(address.vhost)
    const { exchanges, bindings, policies, users } = plan.topology
    const put = (path: string, body: unknown) => () => api.put(path, body)
    const queues = plan.queues.filter(({ carry }) => carry !== 'never')
    const knownUsers = new Set((there?.users ?? []).map(({ name }) => name))
    const mine = new Set(bindings.map(bindingKey))
    const existing = new Set((there?.bindings ?? []).map(bindingKey).filter((key) => mine.has(key)))
    return [
      ...users
        .filter(({ name }) => !knownUsers.has(name))
        .map(({ name }) => step('withhold', `user ${name}`, 'permissions until the cutover', async () => {})),
      ...policies.flatMap(({ consequences: _, ...policy }) => {
        const found = there?.policies.find(({ name }) => name === policy.name)
        if (isDeepStrictEqual(found, policy)) return []
        const { name, pattern, applyTo, priority, definition } = policy
        const body = { pattern, 'apply-to': applyTo, priority, definition }
        return [
          step(found ? 'alter' : 'create', `policy ${name}`, pattern, put(`policies/${vhost}/${segment(name)}`, body)),
        ]
      }),
      ...exchanges.flatMap((exchange) => {
        const { name, type, durable, autoDelete, internal } = exchange
        const body = { type, durable, auto_delete: autoDelete, internal, arguments: exchange.arguments }
        const found = there?.exchanges.find((one) => one.name === name)
        return declared(
          `exchange ${name}`,
          { found, wanted: exchange },
          put(`exchanges/${vhost}/${segment(name)}`, body),
        )
      }),
      ...queues.flatMap(({ target, durable, autoDelete, arguments: form }) => {
        const body = { durable, auto_delete: autoDelete, arguments: form }
        const found = typeless(
          there?.queues.find((one) => one.name === target),
          { form, defaultType },
        )
        const wanted = { name: target, durable, autoDelete, arguments: form }
        return declared(`queue ${target}`, { found, wanted }, put(`queues/${vhost}/${segment(target)}`, body))
      }),
      ...bindings
        .filter((binding) => !existing.has(bindingKey(binding)))
        .map(({ source, destination, destinationType, routingKey, arguments: form }) => {
          const kind = destinationType === 'queue' ? 'q' : 'e'
          const path = `bindings/${vhost}/e/${segment(source)}/${kind}/${segment(destination)}`
          const body = { routing_key: routingKey, arguments: form }
          return step(
            'create',
            `binding ${source} → ${destination}`,
            routingKey,
            async () => void (await api.post(path, body)),
          )
        }),
    ]
  }

  async #rules(): Promise<BrokerRules> {
    const overview = await this.#target.api.get<{ rabbitmq_version: string; exchange_types: { name: string }[] }>(
      'overview',
    )
    const exchangeTypes = overview.exchange_types.map(({ name }) => name)
    return rulesOf({ version: overview.rabbitmq_version, service: this.#service, exchangeTypes })
  }
}

interface Step {
  readonly change: TopologyChange
  readonly apply: () => Promise<void>
}

function step(action: TopologyChange['action'], object: string, detail: string, apply: () => Promise<void>): Step {
  return { change: { action, object, detail }, apply }
}

function declared<T extends object>(
  object: string,
  { found, wanted }: { readonly found: T | undefined; readonly wanted: T },
  apply: () => Promise<void>,
): Step[] {
  if (!found) return [step('create', object, '', apply)]
  const differing = Object.keys(wanted).filter(
    (key) => !isDeepStrictEqual(found[key as keyof T], wanted[key as keyof T]),
  )
  return differing.length === 0 ? [] : [step('differs', object, differing.join(', '), apply)]
}

/** From 4.0 on a queue that was declared without a type tells the one that it got among its arguments. */
function typeless(
  found: QueueDefinition | undefined,
  { form, defaultType }: { readonly form: QueueDefinition['arguments']; readonly defaultType: string },
): QueueDefinition | undefined {
  if (!found || 'x-queue-type' in form || found.arguments['x-queue-type'] !== defaultType) return found
  const { 'x-queue-type': _, ...others } = found.arguments
  return { ...found, arguments: others }
}

function bindingKey(binding: Definitions['bindings'][number]): string {
  const { source, destination, destinationType, routingKey } = binding
  return JSON.stringify([source, destination, destinationType, routingKey, Object.entries(binding.arguments).sort()])
}
