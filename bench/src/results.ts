import { readFile, writeFile } from 'node:fs/promises'
import { cpus, loadavg, totalmem } from 'node:os'
import type { Row } from './measure.ts'

const file = new URL('../RESULTS.md', import.meta.url)

interface Run {
  readonly name: string
  readonly rows: readonly Row[]
  readonly setting: string
  /** As it was typed. */
  readonly command: string
}

/** Replaces the section of this benchmark, so that the file always holds the newest run of each. */
export async function recordResults(run: Run): Promise<void> {
  const text = await readFile(file, 'utf8').catch(
    () => '# Results\n\nEach section is one run, both sides in turn on one machine. A ratio is ours ÷ peer.\n',
  )
  const [head = '', ...sections] = text.split(/\n(?=## )/)
  const others = sections.filter((section) => !section.startsWith(`## ${run.name}\n`))
  const sorted = [...others, section(run)].sort()
  await writeFile(file, `${[head.trimEnd(), ...sorted.map((s) => s.trimEnd())].join('\n\n')}\n`)
}

function section({ name, rows, setting, command }: Run): string {
  const lines = rows.map(
    (row) =>
      `| ${row.work} | ${row.ours} ${row.unit} | ${row.peer} ${row.unit} | ${row.peerName} | ${row.ratio} | ${row.runs} |`,
  )
  return `## ${name}

${new Date().toISOString().slice(0, 10)}, \`${command}\`, ${machine()}. ${setting}

| Work | Ours | Peer | Peer's name | Ratio | Runs |
|---|---|---|---|---|---|
${lines.join('\n')}
`
}

function machine(): string {
  const [cpu] = cpus()
  return `${cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}, load average ${Math.round(loadavg()[1] ?? 0)} at the end`
}
