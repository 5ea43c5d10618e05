/** The few shapes that an architecture is drawn with, as SVG text. */
import { type Glyph, glyphs } from './glyphs.ts'

export type Drawing = string

const font = 'font-family="Amazon Ember, Helvetica, Arial, sans-serif"'

export function svg(width: number, height: number, drawings: readonly Drawing[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<rect width="${width}" height="${height}" fill="#FFFFFF"/>`,
    ...drawings,
    '</svg>',
    '',
  ].join('\n')
}

interface LabelStyle {
  readonly size: number
  readonly color?: string
  readonly weight?: number
  readonly anchor?: 'start' | 'middle'
}

export function label(x: number, y: number, text: string, style: LabelStyle): Drawing {
  const { size, color = '#232F3E', weight = 400, anchor = 'start' } = style
  return `<text x="${x}" y="${y}" ${font} font-size="${size}" font-weight="${weight}" fill="${color}" text-anchor="${anchor}">${escaped(text)}</text>`
}

export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly title: string
  readonly color: string
  readonly filled?: boolean
}

export function box({ x, y, width, height, title, color, filled }: Box): Drawing {
  const fill = filled ? `fill="${color}" fill-opacity="0.07"` : 'fill="none"'
  return [
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="3" ${fill} stroke="${color}" stroke-width="1.4"/>`,
    label(x + 10, y + 18, title, { size: 12, color, weight: 600 }),
  ].join('\n')
}

/** The edge of a place that lines end at. */
export function frame({ x, y, width, height }: Pick<Box, 'x' | 'y' | 'width' | 'height'>): Drawing {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="5" fill="#FFFFFF" stroke="#C9D1DC" stroke-width="1"/>`
}

export interface Icon {
  readonly glyph: Glyph
  readonly color: string
  readonly name: string
  readonly kind: string
  readonly x: number
  readonly y: number
  readonly width: number
  /** In a picture of a change: whether it comes or goes. */
  readonly change?: 'comes' | 'goes' | undefined
}

export const iconSize = 40

/** A coloured square with a drawing, its name and its kind below; what goes is pale, what comes has a green edge. */
export function icon({ glyph, color, name, kind, x, y, width, change }: Icon): Drawing {
  const middle = x + width / 2
  const left = middle - iconSize / 2
  const edge = change
    ? `stroke="${changeColors[change]}" stroke-width="3" ${change === 'goes' ? 'stroke-dasharray="5 3"' : ''}`
    : ''
  return [
    `<g${change === 'goes' ? ' opacity="0.55"' : ''}>`,
    `<rect x="${left}" y="${y}" width="${iconSize}" height="${iconSize}" rx="3" fill="${color}" ${edge}/>`,
    `<path transform="translate(${left} ${y})" d="${glyphs[glyph]}" fill="none" stroke="#FFFFFF" stroke-width="1.8" stroke-linejoin="round" stroke-linecap="round"/>`,
    '</g>',
    label(middle, y + iconSize + 14, shortened(name, Math.floor(width / 5.4)), {
      size: 10.5,
      weight: 600,
      anchor: 'middle',
    }),
    label(middle, y + iconSize + 27, shortened(kind, Math.floor(width / 4.6)), {
      size: 9.5,
      color: palette.quiet,
      anchor: 'middle',
    }),
  ].join('\n')
}

interface Point {
  readonly x: number
  readonly y: number
}

/** A line through the points with a head at its end. */
export function arrow(points: readonly Point[], color: string, dashed = false): Drawing {
  const [before, end] = points.slice(-2)
  if (!before || !end) return ''
  const angle = Math.atan2(end.y - before.y, end.x - before.x)
  const corner = (turn: number) =>
    `${round(end.x - 8 * Math.cos(angle + turn))},${round(end.y - 8 * Math.sin(angle + turn))}`
  const way = points.map(({ x, y }) => `${round(x)},${round(y)}`).join(' ')
  return [
    `<polyline points="${way}" fill="none" stroke="${color}" stroke-width="1.5"${dashed ? ' stroke-dasharray="6 4"' : ''}/>`,
    `<polygon points="${round(end.x)},${round(end.y)} ${corner(0.4)} ${corner(-0.4)}" fill="${color}"/>`,
  ].join('\n')
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

/** The colours that AWS's own diagrams give to its kinds of services. */
export const palette = {
  compute: '#ED7100',
  database: '#C925D1',
  network: '#8C4FFF',
  security: '#DD344C',
  management: '#E7157B',
  storage: '#7AA116',
  quiet: '#5A6B86',
} as const

export const changeColors = { comes: '#1B8A3A', goes: '#D13212' } as const

function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
