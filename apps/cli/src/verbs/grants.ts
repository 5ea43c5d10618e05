import { ReplatformError } from '@replatform/core/errors'
import { moveArgument, type Verb } from '../verb.ts'

export const grants: Verb = {
  name: 'grants',
  summary: "print the SQL of the mover's accounts",
  description:
    'Reads both catalogues, with the addresses of the estate, and prints the statements for an account on either side that may do what a move takes and no more: whoever owns the databases runs them. On a side whose service is rds they are those that its master may run. Passwords are not among them. Changes nothing.',
  example: 'replatform grants ledger --account mover > grants.sql',
  exits: ['ok', 'usage', 'unreachable', 'failed'],
  configure(command) {
    moveArgument(command)
    command.option('--account <name>', 'the account to print for; otherwise the user of each address')
  },
  async run(invocation, { account }, move) {
    const name = invocation.moveNamed(move)
    const { stores } = invocation.estate
    const store = stores[name] as (typeof stores)[string]
    if (store.source.kind !== 'postgresql' || store.target.kind !== 'postgresql') {
      throw new ReplatformError('usage', { message: `Only PostgreSQL stores have grants to print; ${name} is none.` })
    }
    // Loaded only now: the routes bring every connector along.
    const [{ endpointOf }, { readGrants }] = await Promise.all([
      import('../routes.ts'),
      import('@replatform/connector-postgresql/grants'),
    ])
    const source = endpointOf(store, 'source', invocation.resolveSecret)
    const target = endpointOf(store, 'target', invocation.resolveSecret)
    const sides = await readGrants({ source, target, move: name, account })
    invocation.result({ move: name, sides }, () =>
      sides.flatMap((side) => [
        `-- ${side.side}: ${side.account}`,
        ...side.statements,
        ...side.remarks.map((remark) => `-- ${remark}`),
        '',
      ]),
    )
    return 'ok'
  },
}
