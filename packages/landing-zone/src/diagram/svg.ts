/** The few shapes that an architecture is drawn with, as SVG text. */
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

export interface Tile {
  readonly name: string
  readonly kind: string
  readonly color: string
  readonly x: number
  readonly y: number
  /** In a picture of a change: whether it comes or goes. */
  readonly change?: 'comes' | 'goes' | undefined
}

export const tileWidth = 84

/** A coloured box with what it is inside and its name below; what goes is pale, what comes has a green edge. */
export function tile({ name, kind, color, x, y, change }: Tile): Drawing {
  const middle = x + tileWidth / 2
  const edge = change
    ? `stroke="${changeColors[change]}" stroke-width="3" ${change === 'goes' ? 'stroke-dasharray="5 3"' : ''}`
    : ''
  const opacity = change === 'goes' ? 0.35 : 1
  return [
    `<rect x="${x}" y="${y}" width="${tileWidth}" height="30" rx="4" fill="${color}" fill-opacity="${opacity}" ${edge}/>`,
    label(middle, y + 19, kind, {
      size: 10,
      color: change === 'goes' ? '#232F3E' : '#FFFFFF',
      weight: 600,
      anchor: 'middle',
    }),
    label(middle, y + 43, shortened(name, 17), { size: 9.5, anchor: 'middle' }),
  ].join('\n')
}

export const changeColors = { comes: '#1B8A3A', goes: '#D13212' } as const

export function line(x1: number, y1: number, x2: number, y2: number, dashed = false): Drawing {
  const dash = dashed ? ' stroke-dasharray="6 4"' : ''
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="#5A6B86" stroke-width="1.6"${dash}/>`
}

function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
