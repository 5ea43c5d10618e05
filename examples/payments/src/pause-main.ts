/**
 * Says what payments felt between two instants: the longest gap between acknowledged ones, and latencies.
 *
 *     node pause-main.ts --journal load.journal --from 2026-01-31T10:00:00Z --to 2026-01-31T10:00:20Z
 */
import { parseArgs } from 'node:util'
import { printLine, runMain } from './environment.ts'
import { pauseWithin } from './pause.ts'

await runMain(async () => {
  const { values } = parseArgs({
    options: { journal: { type: 'string' }, from: { type: 'string' }, to: { type: 'string' } },
  })
  if (values.journal === undefined) throw new Error('name --journal')
  printLine(await pauseWithin(values.journal, { from: instant(values.from, '--from'), to: instant(values.to, '--to') }))
  return 0
})

function instant(text: string | undefined, name: string): number {
  const value = Date.parse(text ?? '')
  if (Number.isNaN(value)) throw new Error(`${name} must be an ISO 8601 time`)
  return value
}
