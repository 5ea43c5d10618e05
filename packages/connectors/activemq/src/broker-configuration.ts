/**
 * What the broker must be configured with so that it does what the plan says: only elements that Amazon MQ permits. To be
 * merged into the configuration of the broker by a person, who restarts it: neither AMQP nor Jolokia can change it. Pure.
 */
import type { ActivemqPlan, PlannedQueue, PlannedUser } from './activemq-plan.ts'

export function brokerConfiguration({ queues, topology }: ActivemqPlan): string {
  const moved = queues.filter(({ carry }) => carry !== 'never' && carry !== 'aged')
  return `<broker xmlns="http://activemq.apache.org/schema/core" schedulerSupport="true">
${section('destinationInterceptors', section('virtualDestinationInterceptor', virtualDestinations(moved, topology)))}
${section('destinationPolicy', section('policyMap', section('policyEntries', moved.flatMap(policyEntry).join('\n'))))}
${section('plugins', redeliveries(moved) + authorization(topology.users))}
</broker>
`
}

/** Our default interceptor stands with the others: naming any replaces the broker's own. */
function virtualDestinations(queues: readonly PlannedQueue[], { exchanges }: ActivemqPlan['topology']): string {
  const topics = exchanges.map((exchange) => {
    const filtered = queues.flatMap(({ target, bindings }) =>
      target.startsWith('Consumer.')
        ? []
        : bindings
            .filter((binding) => binding.exchange === exchange.name)
            .map(({ selector }) => destination('queue', target, selector)),
    )
    const onward = exchange.forwards.map(({ to, selector }) => destination('topic', to, selector))
    return composite('compositeTopic', exchange.target, [...filtered, ...onward], false)
  })
  const dead = queues
    .filter(({ deadLetters = [] }) => deadLetters.length > 1)
    .map(({ target, deadLetters = [] }) =>
      composite(
        'compositeQueue',
        `DLQ.${target}`,
        deadLetters.map((queue) => destination('queue', queue, undefined)),
        true,
      ),
    )
  const all = [
    ...topics,
    ...dead,
    '<virtualTopic name="VirtualTopic.&gt;" prefix="Consumer.*." selectorAware="false"/>',
  ]
  return section('virtualDestinations', all.filter((one) => one !== '').join('\n'))
}

function composite(element: string, name: string, forwards: readonly string[], forwardOnly: boolean): string {
  if (forwards.length === 0) return ''
  const open = `${element} name=${quoted(name)} forwardOnly="${forwardOnly}"`
  return `<${open}>\n${indented(section('forwardTo', forwards.join('\n')))}\n</${element}>`
}

function destination(kind: 'queue' | 'topic', name: string, selector: string | undefined): string {
  if (selector === undefined) return `<${kind} physicalName=${quoted(name)}/>`
  return `<filteredDestination ${kind}=${quoted(name)} selector=${quoted(selector)}/>`
}

function policyEntry({ target, maxPriority, singleConsumer, deadLetters = [] }: PlannedQueue): string[] {
  const attributes = [
    `queue=${quoted(target)}`,
    ...(maxPriority === undefined ? [] : ['prioritizedMessages="true"']),
    ...(singleConsumer ? ['allConsumersExclusiveByDefault="true"'] : []),
  ]
  return [
    `<policyEntry ${attributes.join(' ')}>\n${indented(section('deadLetterStrategy', deadLetterStrategy(deadLetters)))}\n</policyEntry>`,
  ]
}

/** Transient messages as well: RabbitMQ dead-letters them too. */
function deadLetterStrategy(deadLetters: readonly string[]): string {
  const [only] = deadLetters
  const both = 'processExpired="true" processNonPersistent="true"'
  if (deadLetters.length !== 1 || only === undefined) {
    return `<individualDeadLetterStrategy queuePrefix="DLQ." useQueueForQueueMessages="true" ${both}/>`
  }
  const queue = section('deadLetterQueue', `<queue physicalName=${quoted(only)}/>`)
  return `<sharedDeadLetterStrategy ${both}>\n${queue}\n</sharedDeadLetterStrategy>`
}

function redeliveries(queues: readonly PlannedQueue[]): string {
  const limited = queues.filter((queue) => queue.redeliveries !== undefined)
  if (limited.length === 0) return ''
  const entries = limited.map(
    ({ target, redeliveries: most }) => `<redeliveryPolicy queue=${quoted(target)} maximumRedeliveries="${most}"/>`,
  )
  const map = section('redeliveryPolicyEntries', entries.join('\n'))
  const policies = section('redeliveryPolicyMap', section('redeliveryPolicyMap', map))
  return `<redeliveryPlugin fallbackToDeadLetter="true" sendToDlqIfMaxRetriesExceeded="true">\n${policies}\n</redeliveryPlugin>\n`
}

/** Groups are called like their users; `admins` is the group of the mover and of operators. */
function authorization(users: readonly PlannedUser[]): string {
  if (users.length === 0) return ''
  const names = [...new Set(users.flatMap(({ read, write, create }) => [...read, ...write, ...create]))]
  const entries = names.map((name) => {
    const groups = (of: (user: PlannedUser) => readonly string[]) =>
      quoted(['admins', ...users.filter((user) => of(user).includes(name)).map((user) => user.name)].join(','))
    const kind = name.startsWith('VirtualTopic.') ? 'topic' : 'queue'
    // Whoever uses a destination first creates it.
    const create = groups((user) => [...user.create, ...user.read, ...user.write])
    return `<authorizationEntry ${kind}=${quoted(name)} read=${groups((user) => user.read)} write=${groups((user) => user.write)} admin=${create}/>`
  })
  const everybody = quoted(['admins', ...users.map(({ name }) => name)].join(','))
  const others = [
    '<authorizationEntry queue="&gt;" read="admins" write="admins" admin="admins"/>',
    '<authorizationEntry topic="&gt;" read="admins" write="admins" admin="admins"/>',
    `<authorizationEntry topic="ActiveMQ.Advisory.&gt;" read=${everybody} write=${everybody} admin=${everybody}/>`,
  ]
  const map = section('authorizationMap', section('authorizationEntries', [...others, ...entries].join('\n')))
  return section('authorizationPlugin', section('map', map))
}

function section(element: string, content: string): string {
  if (content.trim() === '') return `<${element}/>`
  return `<${element}>\n${indented(content)}\n</${element}>`
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ')
}

function quoted(text: string): string {
  const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return `"${text.replace(/[&<>"]/g, (character) => escapes[character] ?? character)}"`
}
