/** The verbs that are about a wave and no operation of a move. */
import type { Incident } from '@replatform/control/incidents'
import { ReplatformError } from '@replatform/core/errors'
import { InvalidArgumentError, Option } from 'commander'
import { runOperation } from '../operation-verb.ts'
import { cut } from '../text-cells.ts'
import { type Verb, waveArgument } from '../verb.ts'
import { connect } from '../worker-connection.ts'

export const rehearse: Verb = {
  name: 'rehearse',
  summary: 'try a wave out without the switch',
  description:
    'Does all of a cutover that production does not feel: opens the ways back, compares, follows marks in the live stream, stops following for a moment, settles the new sides and records an aborted decision. Switchover points are exercised on copies that are started here for it, with a client each that tells what the pause feels like. Measures each part and says how long the pause will be. Nothing is held, nothing is fenced.',
  example: 'replatform rehearse relational',
  exits: ['ok', 'refused', 'differences', 'usage', 'unreachable', 'failed', 'interrupted'],
  configure(command) {
    waveArgument(command)
    command.option('--dry-run', 'print the very steps that would be taken, and take none')
    command.option('--reason <text>', 'why, for the audit log')
  },
  run: (invocation, options, wave) =>
    runOperation(invocation, { verb: 'rehearse', wave: invocation.waveNamed(wave), options }),
}

export const approve: Verb = {
  name: 'approve',
  summary: 'approve the next cutover of a wave',
  description:
    'Approves the wave as the estate file has it now: its moves, budget, window and gates. The approval counts for one cutover that commits, and no longer than the wave stays as it is.',
  example: 'replatform approve relational --reason "change 4711"',
  exits: ['ok', 'refused', 'usage', 'unreachable', 'failed'],
  configure(command) {
    waveArgument(command)
    command.option('--reason <text>', 'why, for the audit log')
  },
  async run(invocation, { reason }, wave) {
    await using connection = await connect(invocation, { hostsMoves: false })
    const request = { actor: invocation.actor, ...(reason === undefined ? {} : { reason }) }
    const approval = await connection.client.approve(invocation.waveNamed(wave), request)
    invocation.result(approval, () => [`${approval.wave} is approved by ${approval.actor}.`])
    return 'ok'
  },
}

export const incident: Verb = {
  name: 'incident',
  summary: 'list, open or close incidents that hold waves back',
  description:
    'Without arguments lists the incidents that are open. With a title opens one; with --close closes it. A wave whose gates say noOpenIncident does not cut over meanwhile.',
  example: 'replatform incident "refunds are late" --severity severe\nreplatform incident --close 3 --reason "fixed"',
  exits: ['ok', 'refused', 'usage', 'unreachable', 'failed'],
  configure(command) {
    command.argument('[title]', 'what is wrong; opens an incident')
    command.addOption(new Option('--severity <severity>', 'how bad').choices(['minor', 'severe']).default('severe'))
    command.option('--close <number>', 'the incident that is over', parseNumber)
    command.option('--reason <text>', 'why, for the audit log')
  },
  async run(invocation, { severity = 'severe', close, reason }, title) {
    if (title !== undefined && close !== undefined) {
      throw new ReplatformError('usage', { message: 'Open an incident or close one, not both.' })
    }
    await using connection = await connect(invocation, { hostsMoves: false })
    const { client } = connection
    const { actor } = invocation
    if (title !== undefined) {
      const opened = await client.openIncident({ actor, severity, title })
      invocation.result(opened, () => [`Incident ${opened.id} is open (${opened.severity}).`])
    } else if (close !== undefined) {
      const closed = await client.closeIncident(close, { actor, ...(reason === undefined ? {} : { reason }) })
      invocation.result(closed, () => [`Incident ${closed.id} is closed: ${closed.title}`])
    } else {
      const incidents = await client.incidents()
      invocation.result({ incidents }, ({ columns }) => linesOf(incidents, columns))
    }
    return 'ok'
  },
}

function linesOf(incidents: readonly Incident[], columns: number): string[] {
  if (incidents.length === 0) return ['No incident is open.']
  return incidents.map(({ id, severity, title, openedBy, openedAt }) => {
    const when = openedAt.slice(0, 19).replace('T', ' ')
    return cut(`${String(id).padStart(4)}  ${severity.padEnd(6)}  ${when}  ${openedBy}  ${title}`, columns)
  })
}

function parseNumber(text: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= 1) return number
  throw new InvalidArgumentError('The number of an incident is expected.')
}
