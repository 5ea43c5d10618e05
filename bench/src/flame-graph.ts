/**
 * `node bench/src/flame-graph.ts <file.cpuprofile> <file.svg>`: draws a profile of Node (`--cpu-prof`) as a flame graph
 * that a browser shows: width is time, a frame hangs below its caller, a title says its share. Idle time is left out.
 */
import { readFile, writeFile } from 'node:fs/promises'

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}

interface Profile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

interface Frame {
  readonly name: string
  micros: number
  readonly callees: Map<string, Frame>
}

const width = 1_200
const rowHeight = 16
/** Frames below this share of the whole are not drawn. */
const shareLeast = 0.003
const leftOut = new Set(['(idle)', '(program)'])

const [from, to] = process.argv.slice(2)
if (!from || !to) {
  console.error('Usage: node bench/src/flame-graph.ts <file.cpuprofile> <file.svg>')
  process.exit(2)
}
await writeFile(to, draw(gather(JSON.parse(await readFile(from, 'utf8')) as Profile)))

/** Adds up the samples of equal stacks. */
function gather({ nodes, samples, timeDeltas }: Profile): Frame {
  const self = new Map<number, number>()
  for (const [i, id] of samples.entries()) self.set(id, (self.get(id) ?? 0) + (timeDeltas[i] ?? 0))
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const add = (node: ProfileNode, parent: Frame): void => {
    const name = nameOf(node)
    if (leftOut.has(name)) return
    const frame = parent.callees.get(name) ?? { name, micros: 0, callees: new Map() }
    parent.callees.set(name, frame)
    const before = frame.micros
    frame.micros += self.get(node.id) ?? 0
    for (const id of node.children ?? []) add(byId.get(id) as ProfileNode, frame)
    parent.micros += frame.micros - before
  }
  const [root] = nodes
  const all: Frame = { name: 'all', micros: 0, callees: new Map() }
  for (const id of root?.children ?? []) add(byId.get(id) as ProfileNode, all)
  return all
}

function nameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  const file = url.split('/').at(-1)
  return `${functionName || '(anonymous)'}${file ? ` ${file}:${lineNumber + 1}` : ''}`
}

function draw(all: Frame): string {
  const boxes: string[] = []
  let deepest = 0
  const place = (frame: Frame, left: number, depth: number): void => {
    const share = frame.micros / all.micros
    if (share < shareLeast) return
    deepest = Math.max(deepest, depth)
    boxes.push(box(frame, { left, depth, share }))
    let at = left
    for (const callee of [...frame.callees.values()].sort((a, b) => b.micros - a.micros)) {
      place(callee, at, depth + 1)
      at += callee.micros / all.micros
    }
  }
  place(all, 0, 0)
  const height = (deepest + 1) * rowHeight
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="monospace" font-size="11">
<title>Flame graph of processor time</title>
${boxes.join('\n')}
</svg>
`
}

function box({ name, micros }: Frame, { left, depth, share }: { left: number; depth: number; share: number }): string {
  const [x, y, w] = [left * width, depth * rowHeight, share * width].map((value) => Math.round(value * 10) / 10)
  const text = escapeXml(name)
  const letters = Math.floor((w ?? 0) / 7)
  const label =
    letters > 3 ? `<text x="${(x ?? 0) + 3}" y="${(y ?? 0) + 12}">${escapeXml(name.slice(0, letters))}</text>` : ''
  const title = `<title>${text}: ${Math.round(micros / 1_000)} ms, ${(100 * share).toFixed(1)} %</title>`
  return `<g>${title}<rect x="${x}" y="${y}" width="${w}" height="${rowHeight - 1}" fill="hsl(${30 + ((depth * 7) % 40)} 80% 65%)"/>${label}</g>`
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
