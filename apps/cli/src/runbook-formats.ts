/** A runbook as Markdown and as one HTML file without anything from elsewhere. */
import type { Runbook } from './runbook.ts'

type Table = readonly (readonly string[])[]

interface Section {
  readonly title: string
  readonly table?: Table
  readonly list?: readonly string[]
}

function sectionsOf({ facts, tasks, steps, backWays }: Runbook): Section[] {
  const taskRows = tasks.map(({ who, when, command, expect, actual }) => [who, when, `\`${command}\``, expect, actual])
  const stepRows = steps.map(({ name, description, expected, actual }) => [name, description, expected, actual])
  return [
    { title: 'The wave', table: [['What', ''], ...facts] },
    { title: 'What to do', table: [['Who', 'When', 'Command', 'What to expect', 'What happened'], ...taskRows] },
    { title: 'Inside the cutover', table: [['Step', 'What it does', 'Expected', 'Last time'], ...stepRows] },
    { title: 'How to go back', list: backWays },
  ]
}

export function toMarkdown(runbook: Runbook): string {
  const blocks = sectionsOf(runbook).map(({ title, table, list }) => {
    const lines = table ? markdownTable(table) : (list ?? []).map((item) => `- ${item}`)
    return [`## ${title}`, '', ...lines].join('\n')
  })
  return [`# Runbook: wave ${runbook.wave}`, `As of ${runbook.writtenAt}.`, ...blocks].join('\n\n')
}

function markdownTable([head = [], ...rows]: Table): string[] {
  const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [row(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(row)]
}

export function toHtml(runbook: Runbook): string {
  const blocks = sectionsOf(runbook).map(({ title, table, list }) => {
    const body = table
      ? htmlTable(table)
      : `<ul>${(list ?? []).map((item) => `<li>${inline(item)}</li>`).join('')}</ul>`
    return `<h2>${escaped(title)}</h2>\n${body}`
  })
  const title = `Runbook: wave ${escaped(runbook.wave)}`
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title><style>${css}</style></head>
<body><h1>${title}</h1>
<p>As of ${escaped(runbook.writtenAt)}.</p>
${blocks.join('\n')}
</body></html>`
}

function htmlTable([head = [], ...rows]: Table): string {
  const cells = (tag: 'th' | 'td', row: readonly string[]) =>
    `<tr>${row.map((cell) => `<${tag}>${inline(cell)}</${tag}>`).join('')}</tr>`
  return `<table>${cells('th', head)}${rows.map((row) => cells('td', row)).join('')}</table>`
}

/** Commands stand between backticks; everything else is text. */
function inline(text: string): string {
  return escaped(text).replace(/`([^`]+)`/g, '<code>$1</code>')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

const css = `body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
h1,h2{line-height:1.2}table{border-collapse:collapse;width:100%;margin-bottom:1.5rem}
th,td{border:1px solid #ccc;padding:.35rem .6rem;text-align:left;vertical-align:top}th{background:#f2f4f7}
code{background:#f2f4f7;padding:0 .25rem;white-space:nowrap}
@media(prefers-color-scheme:dark){body{background:#16181c;color:#e6e6e6}th,code{background:#262a31}th,td{border-color:#444}}`
