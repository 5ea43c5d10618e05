import { InvalidArgumentError } from 'commander'
import { cut } from '../text-cells.ts'
import type { Verb } from '../verb.ts'
import { connect } from '../worker-connection.ts'

const most = 1_000

export const audit: Verb = {
  name: 'audit',
  summary: 'list who asked for what, and what came of it',
  description: 'Lists the newest entries of the audit log, oldest first: when, who, what, and how it ended.',
  example: 'replatform audit --limit 20',
  exits: ['ok', 'usage', 'refused', 'unreachable', 'failed'],
  configure(command) {
    command.option('--limit <count>', `number of entries, at most ${most}`, parseLimit, 200)
  },
  async run(invocation, { limit }) {
    await using connection = await connect(invocation, { hostsMoves: false })
    const entries = await connection.client.audit(limit)
    invocation.result({ entries }, ({ colors, columns }) => {
      const lines = entries.map(({ at, actor, verb, move, outcome, detail }) => {
        const what = `${verb}${move ? ` ${move}` : ''} ${outcome}${detail ? `: ${detail}` : ''}`
        const when = at.slice(0, 19).replace('T', ' ')
        return `${colors.dim(when)}  ${cut(`${actor}  ${what}`, columns - when.length - 2)}`
      })
      return lines.length > 0 ? lines : ['Nobody has asked for anything yet.']
    })
    return 'ok'
  },
}

function parseLimit(text: string): number {
  const limit = Number(text)
  if (Number.isInteger(limit) && limit >= 1 && limit <= most) return limit
  throw new InvalidArgumentError(`A whole number from 1 to ${most} is expected.`)
}
