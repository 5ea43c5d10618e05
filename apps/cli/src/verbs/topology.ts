import { moveArgument, type Verb } from '../verb.ts'

const silent = { info() {}, warn() {}, error() {} }

export const topology: Verb = {
  name: 'topology',
  summary: "print what a broker's queues and users would become",
  description:
    'Reads the source broker and prints the plan of its topology on the target as YAML, each translation with its consequence. Save it, edit it, and name it as topology of the store in the estate file; movers read it again while messages flow. Changes nothing.',
  example: 'replatform topology events > events.yaml',
  exits: ['ok', 'usage', 'unreachable', 'failed'],
  configure(command) {
    moveArgument(command)
    command.option(
      '--configuration',
      'print instead what must be put into the configuration of the new broker by hand, for the plan in use',
    )
  },
  async run(invocation, { configuration }, move) {
    const name = invocation.moveNamed(move)
    const { stores, tools = {} } = invocation.estate
    // Loaded only now: the routes bring every connector along.
    const { brokerConfiguration, proposeTopology } = await import('../routes.ts')
    const { resolveSecret } = invocation
    const store = stores[name] as (typeof stores)[string]
    if (configuration === true) {
      const needed = await brokerConfiguration({ name, store, tools }, { resolveSecret, log: silent })
      invocation.result({ move: name, configuration: needed }, () => [
        needed?.trimEnd() ?? 'Nothing is left to configure.',
      ])
      return 'ok'
    }
    const { plan, text } = await proposeTopology({ name, store, tools }, { resolveSecret, log: silent })
    invocation.result({ move: name, plan }, () => [text.trimEnd()])
    return 'ok'
  },
}
