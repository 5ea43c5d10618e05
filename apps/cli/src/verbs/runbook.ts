import { Option } from 'commander'
import { moveIn } from '../operation-wait.ts'
import { writeRunbook } from '../runbook.ts'
import { toHtml, toMarkdown } from '../runbook-formats.ts'
import { type Verb, waveArgument } from '../verb.ts'
import { connect } from '../worker-connection.ts'

export const runbook: Verb = {
  name: 'runbook',
  summary: 'print the runbook of a wave, with what happened so far',
  description:
    'Prints who does what when, with which command, what to expect, and how to go back; filled with the real times of what was done already. Print it again while the wave runs.',
  example:
    'replatform runbook relational > relational.md\nreplatform runbook relational --format html > relational.html',
  exits: ['ok', 'usage', 'refused', 'unreachable', 'failed'],
  configure(command) {
    waveArgument(command)
    command.addOption(new Option('--format <format>', 'how it is written').choices(['md', 'html']).default('md'))
  },
  async run(invocation, { format }, argument) {
    const name = invocation.waveNamed(argument)
    await using connection = await connect(invocation, { hostsMoves: false })
    const { client } = connection
    const [status, history] = [await client.status(), await client.history(name)]
    const wave = status.waves.find((candidate) => candidate.name === name)
    if (!wave) return 'failed'
    const moves = wave.moves.map((move) => moveIn(status, move))
    const book = writeRunbook({ wave, moves, history, writtenAt: new Date().toISOString() })
    invocation.result(book, () => [format === 'html' ? toHtml(book) : toMarkdown(book)])
    return 'ok'
  },
}
