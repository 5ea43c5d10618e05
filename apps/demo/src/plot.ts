/** One plot over time as SVG, without anything from elsewhere. */

export interface Series {
  readonly name: string
  readonly points: readonly (readonly [atMs: number, value: number])[]
}

export interface PlotOptions {
  readonly title: string
  readonly unit: string
  readonly endMs: number
  readonly series: readonly Series[]
  /** Spans that are marked, such as write pauses. */
  readonly marks: readonly { readonly name: string; readonly fromMs: number; readonly ms: number }[]
}

const size = { width: 1_000, height: 220, left: 62, right: 12, top: 14, bottom: 26 }
const colors = ['#2563eb', '#d97706', '#059669', '#9333ea']

export function plot({ title, unit, endMs, series, marks }: PlotOptions): string {
  const most = niceCeiling(Math.max(1, ...series.flatMap(({ points }) => points.map(([, value]) => value))))
  const x = (atMs: number) => size.left + (atMs / endMs) * (size.width - size.left - size.right)
  const y = (value: number) => size.height - size.bottom - (value / most) * (size.height - size.top - size.bottom)
  const bands = marks.map(({ name, fromMs, ms }) => {
    // A pause of a second would be thinner than a pixel.
    const width = Math.max(3, x(fromMs + ms) - x(fromMs))
    return `<rect class="pause" x="${n(x(fromMs))}" y="${size.top}" width="${n(width)}" height="${size.height - size.top - size.bottom}"><title>${escaped(name)}: ${Math.round(ms)} ms</title></rect>`
  })
  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const at = n(y(share * most))
    return `<line class="grid" x1="${size.left}" x2="${size.width - size.right}" y1="${at}" y2="${at}"/><text x="${size.left - 6}" y="${at}" text-anchor="end" dy="4">${label(share * most)}</text>`
  })
  const ticks = ticksOf(endMs).map((atMs) => {
    return `<text x="${n(x(atMs))}" y="${size.height - 8}" text-anchor="middle">${clock(atMs)}</text>`
  })
  const lines = series.map(({ points }, index) => {
    const path = points.map(([atMs, value]) => `${n(x(atMs))},${n(y(value))}`).join(' ')
    return `<polyline points="${path}" stroke="${colors[index % colors.length]}"/>`
  })
  const legend = series.map(({ name }, index) => {
    return `<span style="color:${colors[index % colors.length]}">■</span> ${escaped(name)}`
  })
  return `<h3>${escaped(title)} <small>${escaped(unit)} &nbsp; ${legend.join(' &nbsp; ')}</small></h3>
<svg viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="${escaped(title)}">
${[...bands, ...grid, ...ticks, ...lines].join('\n')}
</svg>`
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** 1, 2 or 5 times a power of ten, at or above. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  const step = [1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10
  return step * power
}

function ticksOf(endMs: number): number[] {
  const everyMs = [10_000, 30_000, 60_000, 120_000, 300_000].find((step) => endMs / step <= 10) ?? 600_000
  return Array.from({ length: Math.floor(endMs / everyMs) + 1 }, (_, index) => index * everyMs)
}

function clock(atMs: number): string {
  const seconds = Math.round(atMs / 1_000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

function label(value: number): string {
  return value >= 1_000 ? value.toLocaleString('en-US') : String(Math.round(value * 10) / 10)
}

function n(value: number): string {
  return value.toFixed(1)
}
