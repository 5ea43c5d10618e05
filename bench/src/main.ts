/** `npm run bench -- <name> [--only part,part]`: one comparison, printed and written into bench/RESULTS.md. */
import { parseArgs } from 'node:util'
import { benchmarks } from './benchmarks.ts'
import type { BenchmarkOptions, Row } from './measure.ts'
import { recordResults } from './results.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    runs: { type: 'string', default: '3' },
    scale: { type: 'string', default: '50' },
    transactions: { type: 'string', default: '200000' },
    profiles: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const [name = ''] = positionals
const benchmark = benchmarks[name]
if (!benchmark || values.help) fail(values.help ? 0 : 2)
const parts = 'parts' in benchmark ? benchmark.parts : { [name]: benchmark.run }
const chosen = values.only?.split(',') ?? Object.keys(parts)
if (chosen.some((part) => !(part in parts))) fail(2)

const options: BenchmarkOptions = {
  runs: Number(values.runs),
  scale: Number(values.scale),
  transactions: Number(values.transactions),
  profiles: values.profiles,
  log: (line) => console.error(line),
}
const command = ['npm run bench --', ...process.argv.slice(2)].join(' ')
for (const part of chosen) {
  const { rows, setting } = await (parts[part] as NonNullable<(typeof parts)[string]>)(options)
  const section = part === name ? name : `${name}: ${part}`
  await recordResults({ name: section, rows, setting, command })
  for (const row of rows) console.log(values.json ? JSON.stringify(row) : sentence(row))
}

function sentence({ work, unit, ours, peer, peerName, ratio, runs }: Row): string {
  return `${work}: ours ${ours} ${unit}, ${peerName} ${peer} ${unit}, ratio ${ratio} (median of ${runs})`
}

function fail(code: number): never {
  const lines = Object.entries(benchmarks).map(([key, each]) => {
    const names = 'parts' in each ? `\n  ${''.padEnd(14)}parts: ${Object.keys(each.parts).join(', ')}` : ''
    return `  ${key.padEnd(14)}${each.title}${names}`
  })
  console.error(`Usage: npm run bench -- <name> [--only part,part] [--runs 3] [--scale 50] [--transactions 200000]
         [--profiles folder] [--json]

${lines.join('\n')}`)
  process.exit(code)
}
