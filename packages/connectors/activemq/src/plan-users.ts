/** Who may read and write what: RabbitMQ's regular expressions, worked out on the names that there are. Pure. */
import type { Definitions } from '@replatform/connector-rabbitmq/definitions'
import type { PlannedExchange, PlannedQueue, PlannedUser } from './activemq-plan.ts'

export function planUsers(
  { permissions }: Definitions,
  exchanges: readonly PlannedExchange[],
  queues: readonly PlannedQueue[],
): PlannedUser[] {
  return permissions.map(({ user, configure, write, read }) => {
    const targets = (pattern: string, all: readonly { readonly name: string; readonly target: string }[]) =>
      all.filter(({ name }) => fits(pattern, name)).map(({ target }) => target)
    // Whoever may write to the default exchange sends to queues by their names.
    const direct = fits(write, 'amq.default') || fits(write, '') ? queues.map(({ target }) => target) : []
    return {
      name: user,
      read: targets(read, queues),
      write: [...targets(write, exchanges), ...direct],
      create: targets(configure, queues),
      consequences: ['Passwords cannot be carried over: create the user with a new one, in a group of the same name.'],
    }
  })
}

/** RabbitMQ takes an empty expression for one that matches nothing. */
function fits(pattern: string, name: string): boolean {
  if (pattern === '' || pattern === '^$') return false
  try {
    return new RegExp(pattern).test(name)
  } catch {
    return false
  }
}
