/** Plots over time as SVG, without anything from elsewhere; colours come from the page. */

export interface Series {
  readonly name: string
  readonly points: readonly (readonly [atMs: number, value: number])[]
}

/** A span of time that is marked, such as a write pause. */
export interface Mark {
  /** Short enough to stand above the plot. */
  readonly label: string
  readonly title: string
  readonly fromMs: number
  readonly ms: number
}

export interface PlotOptions {
  readonly title: string
  readonly unit: string
  readonly endMs: number
  readonly series: readonly Series[]
  readonly marks: readonly Mark[]
  /** Orders of magnitude: a second beside milliseconds stays readable. `linear` unless said. */
  readonly scale?: 'linear' | 'magnitudes'
}

const size = { width: 1_000, height: 230, left: 58, right: 14, top: 24, bottom: 26 }

export function plot(options: PlotOptions): string {
  const { title, unit, endMs, series, marks } = options
  const most = Math.max(1, ...series.flatMap(({ points }) => points.map(([, value]) => value)))
  const { steps, share } = options.scale === 'magnitudes' ? magnitudes(most) : linear(most)
  const x = xOf(endMs)
  const y = (value: number) => size.height - size.bottom - share(value) * (size.height - size.top - size.bottom)
  const grid = steps.map((step) => {
    const at = n(y(step))
    return `<line class="grid" x1="${size.left}" x2="${size.width - size.right}" y1="${at}" y2="${at}"/><text x="${size.left - 7}" y="${at}" text-anchor="end" dy="4">${label(step)}</text>`
  })
  const lines = series.map(({ points }, index) => {
    const path = points.map(([atMs, value]) => `${n(x(atMs))},${n(y(value))}`).join(' ')
    return `<polyline class="series-${index}" points="${path}"/>`
  })
  const legend = series.map(({ name }, index) => `<i class="swatch-${index}"></i>${escaped(name)}`)
  return `<figure>
<figcaption><b>${escaped(title)}</b> <span>${escaped(unit)}</span><span class="legend">${legend.join(' ')}</span></figcaption>
<svg viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="${escaped(title)}">
${[...marks.map((mark) => band(mark, x)), ...grid, ...ticks(endMs, x), ...lines].join('\n')}
</svg>
</figure>`
}

export interface Stretch {
  readonly label: string
  readonly title: string
  readonly fromMs: number
  /** Stretches of one kind look the same. */
  readonly kind: string
}

/** What went on when, on the same axis of time as the plots. */
export function ribbon(stretches: readonly Stretch[], endMs: number): string {
  const x = xOf(endMs)
  const boxes = stretches.map(({ label: text, title, fromMs, kind }, index) => {
    const toMs = stretches[index + 1]?.fromMs ?? endMs
    const width = Math.max(1, x(toMs) - x(fromMs) - 1.5)
    // About six units a letter.
    const shown = width > text.length * 6 + 8 ? `<text x="${n(x(fromMs) + 5)}" y="18">${escaped(text)}</text>` : ''
    return `<g><title>${escaped(title)}</title><rect class="${kind}" rx="3" x="${n(x(fromMs))}" y="3" width="${n(width)}" height="22"/>${shown}</g>`
  })
  return `<svg class="ribbon" viewBox="0 0 ${size.width} 28" role="img" aria-label="Stops">${boxes.join('\n')}</svg>`
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

function xOf(endMs: number): (atMs: number) => number {
  return (atMs) => size.left + (Math.min(Math.max(0, atMs), endMs) / endMs) * (size.width - size.left - size.right)
}

/** A pause of a second would be thinner than a pixel. */
function band({ label: text, title, fromMs, ms }: Mark, x: (atMs: number) => number): string {
  const from = x(fromMs)
  const width = Math.max(3, x(fromMs + ms) - from)
  const [middle, height] = [n(from + width / 2), size.height - size.top - size.bottom]
  return `<g><title>${escaped(title)}</title><rect class="pause" x="${n(from)}" y="${size.top}" width="${n(width)}" height="${height}"/><text class="mark" x="${middle}" y="${size.top - 8}" text-anchor="middle">${escaped(text)}</text></g>`
}

interface Scale {
  readonly steps: readonly number[]
  /** Of the height, from 0 to 1. */
  readonly share: (value: number) => number
}

function linear(most: number): Scale {
  const top = niceCeiling(most)
  return { steps: [0, 0.25, 0.5, 0.75, 1].map((part) => part * top), share: (value) => value / top }
}

/** From 1 up; what is less lies on the axis. */
function magnitudes(most: number): Scale {
  const decades = Math.max(1, Math.ceil(Math.log10(most)))
  return {
    steps: Array.from({ length: decades + 1 }, (_, index) => 10 ** index),
    share: (value) => Math.log10(Math.max(1, value)) / decades,
  }
}

/** 1, 2, 2.5, 4 or 5 times a power of ten, at or above. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  const step = [1, 2, 2.5, 4, 5, 10].find((factor) => factor * power >= value) ?? 10
  return step * power
}

function ticks(endMs: number, x: (atMs: number) => number): string[] {
  const everyMs = [10_000, 30_000, 60_000, 120_000, 300_000].find((step) => endMs / step <= 12) ?? 600_000
  const times = Array.from({ length: Math.floor(endMs / everyMs) + 1 }, (_, index) => index * everyMs)
  return times.map((atMs) => {
    return `<text x="${n(x(atMs))}" y="${size.height - 8}" text-anchor="middle">${clock(atMs)}</text>`
  })
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
