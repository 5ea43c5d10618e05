/** `npm run bench -- <name> [--runs 3] [--json]`: one comparison, printed and written into bench/RESULTS.md. */
import { parseArgs } from 'node:util'
import { benchmarks } from './benchmarks.ts'
import type { Row } from './measure.ts'
import { recordResults } from './results.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '3' },
    scale: { type: 'string', default: '50' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const [name] = positionals
const benchmark = name === undefined ? undefined : benchmarks[name]
if (!benchmark || values.help) {
  const names = Object.entries(benchmarks).map(([key, { title }]) => `  ${key.padEnd(14)}${title}`)
  console.error(`Usage: npm run bench -- <name> [--runs 3] [--scale 50] [--json]\n\n${names.join('\n')}`)
  process.exit(values.help ? 0 : 2)
}

const log = (line: string) => console.error(line)
const { rows, setting } = await benchmark.run({ runs: Number(values.runs), scale: Number(values.scale), log })
await recordResults({ name: name as string, rows, setting })
for (const row of rows) console.log(values.json ? JSON.stringify(row) : sentence(row))

function sentence({ work, unit, ours, peer, peerName, ratio, runs }: Row): string {
  return `${work}: ours ${ours} ${unit}, ${peerName} ${peer} ${unit}, ratio ${ratio} (median of ${runs})`
}
