/**
 * The architecture as one SVG, drawn from the templates and not from the wish: zones as columns, tiers as rows, what
 * stands outside around them. Colours are those that AWS's own diagrams use.
 */
import type { Blueprint, Tier } from '../plan/blueprint.ts'
import type { Resource, TemplateGraph } from '../template/template-graph.ts'
import { type Item, itemsIn, merged, sharedItems } from './items.ts'
import { arrow, box, changeColors, type Drawing, icon, iconSize, label, palette, svg } from './svg.ts'

const inRow = 3
const cellWidth = 92
const zoneWidth = inRow * cellWidth + 16
const rowHeight = 80
const gap = 16
const left = 262
const top = 166
const gray = palette.quiet
const tiers: readonly { name: Tier; title: string; color: string }[] = [
  { name: 'public', title: 'public', color: '#7AA116' },
  { name: 'nat', title: 'way out', color: '#7AA116' },
  { name: 'firewall', title: 'firewall', color: '#DD344C' },
  { name: 'app', title: 'app', color: '#00A4A6' },
  { name: 'data', title: 'data, no way out', color: '#3B48CC' },
]

/** With `before`, the picture of a change: what comes has a green edge, what goes is pale in red. */
export function drawEnvironment(graph: TemplateGraph, blueprint: Blueprint, before?: TemplateGraph): string {
  return new Picture(graph, blueprint, before).text
}

class Picture {
  readonly #graph: TemplateGraph
  readonly #before: TemplateGraph | undefined
  readonly #blueprint: Blueprint
  /** Those that some zone has. */
  readonly #tiers: typeof tiers
  /** By tier, then by zone. */
  readonly #cells: readonly (readonly Item[])[][]

  constructor(graph: TemplateGraph, blueprint: Blueprint, before: TemplateGraph | undefined) {
    this.#graph = graph
    this.#before = before
    this.#blueprint = blueprint
    this.#tiers = tiers.filter(({ name }) =>
      [graph, before].some((one) => one && blueprint.zones.some((zone) => subnetAt(one, name, zone))),
    )
    this.#cells = this.#tiers.map(({ name }) => blueprint.zones.map((zone) => this.#itemsAt(name, zone)))
  }

  get text(): string {
    const { estate, environment, phase, region, zones, settings } = this.#blueprint
    const networkWidth = zones.length * (zoneWidth + gap) + gap
    const width = left + networkWidth + 18
    const networkHeight = this.#tiers.reduce((sum, _, row) => sum + this.#heightOf(row) + gap, 44)
    const shared = this.#shared(top + networkHeight - 14, networkWidth)
    const height = top + networkHeight + shared.rows * rowHeight + 16
    return svg(width, height, [
      label(24, 38, `${estate}: ${environment}, phase ${phase}`, { size: 22, weight: 600 }),
      label(24, 60, `${region} · drawn from the templates`, { size: 13, color: gray }),
      ...(this.#before ? this.#legend() : []),
      box({
        x: left - 30,
        y: top - 78,
        width: networkWidth + 28,
        height: networkHeight + 70 + shared.rows * rowHeight,
        title: `AWS account ${settings.account}`,
        color: '#232F3E',
      }),
      box({
        x: left - gap,
        y: top - 48,
        width: networkWidth,
        height: networkHeight + 10,
        title: `VPC ${settings.network}`,
        color: '#8C4FFF',
      }),
      ...zones.map((_, index) =>
        label(this.#xOf(index) + 4, top - 8, `Zone ${index + 1}`, { size: 12, color: '#147EBA', weight: 600 }),
      ),
      ...this.#tiers.flatMap((_, row) => zones.flatMap((zone, index) => this.#cell(row, index, zone))),
      ...this.#outside(),
      ...shared.drawings,
    ])
  }

  #itemsAt(tier: Tier, zone: string): readonly Item[] {
    const now = subnetAt(this.#graph, tier, zone)
    const items = now ? itemsIn(this.#graph, now) : []
    if (!this.#before) return items
    const then = subnetAt(this.#before, tier, zone)
    return merged(then ? itemsIn(this.#before, then) : [], items)
  }

  #cell(row: number, index: number, zone: string): Drawing[] {
    const { name, title, color } = this.#tiers[row] as (typeof tiers)[number]
    const x = this.#xOf(index)
    const y = this.#yOf(row)
    const subnet = subnetAt(this.#graph, name, zone) ?? (this.#before && subnetAt(this.#before, name, zone))
    if (!subnet) return []
    const range = String(subnet.properties.CidrBlock)
    const frame = box({
      x,
      y,
      width: zoneWidth,
      height: this.#heightOf(row),
      title: `${title} · ${range}`,
      color,
      filled: true,
    })
    return [
      frame,
      ...(this.#cells[row]?.[index] ?? []).map((item, place) => icon({ ...item, ...positionOf(place, x, y) })),
    ]
  }

  #outside(): Drawing[] {
    const { onPremises } = this.#blueprint
    const y = this.#yOf(0) + 26
    const cell = { x: 66, width: cellWidth }
    const users: Drawing[] =
      this.#graph.ofType('AWS::EC2::InternetGateway').length > 0
        ? [
            icon({ ...cell, y, glyph: 'people', color: gray, name: 'users, partners', kind: 'internet' }),
            ...connection(cell.x + (cellWidth + iconSize) / 2 + 4, left - gap, y + iconSize / 2),
          ]
        : []
    if (!onPremises) return users
    const siteY = this.#yOf(this.#tiers.findIndex(({ name }) => name === 'app'))
    const tunnels = this.#graph.ofType('AWS::EC2::VPNConnection').length * 2
    const direct = this.#graph.ofType('AWS::DirectConnect::Connection')[0]
    const facts = [
      onPremises.networks.join(', '),
      `AS ${onPremises.asn}`,
      `${tunnels} tunnels: IKEv2, BGP`,
      ...(direct ? [`Direct Connect ${String(direct.properties.Bandwidth)}`] : []),
      ...(onPremises.people ? ['operators: client VPN'] : []),
    ]
    return [
      ...users,
      box({ x: 20, y: siteY, width: 186, height: 110 + facts.length * 18, title: 'Old site', color: gray }),
      icon({ ...cell, y: siteY + 30, glyph: 'house', color: gray, name: 'routers, stores', kind: 'on-premises' }),
      ...facts.map((fact, index) => label(32, siteY + 118 + index * 18, fact, { size: 12, color: gray })),
      ...connection(206, left - gap, siteY + 50, true),
    ]
  }

  /** In as many rows as there are columns of zones to stand under. */
  #shared(y: number, width: number): { readonly drawings: readonly Drawing[]; readonly rows: number } {
    const items = this.#before ? merged(sharedItems(this.#before), sharedItems(this.#graph)) : sharedItems(this.#graph)
    const columns = Math.floor(width / cellWidth)
    const place = (index: number) => ({
      x: left - gap + (index % columns) * cellWidth,
      y: y + Math.floor(index / columns) * rowHeight,
      width: cellWidth,
    })
    return {
      drawings: items.map((item, index) => icon({ ...item, ...place(index) })),
      rows: Math.ceil(items.length / columns),
    }
  }

  #legend(): Drawing[] {
    return [
      label(24, 84, 'green edge: comes', { size: 12, color: changeColors.comes, weight: 600 }),
      label(24, 102, 'pale, red edge: goes', { size: 12, color: changeColors.goes, weight: 600 }),
    ]
  }

  #xOf(index: number): number {
    return left + index * (zoneWidth + gap)
  }

  #yOf(row: number): number {
    return this.#tiers.slice(0, row).reduce((sum, _, before) => sum + this.#heightOf(before) + gap, top)
  }

  #heightOf(row: number): number {
    const most = Math.max(1, ...(this.#cells[row] ?? []).map(({ length }) => length))
    return 36 + Math.ceil(most / inRow) * rowHeight
  }
}

function positionOf(place: number, x: number, y: number) {
  const column = place % inRow
  const row = Math.floor(place / inRow)
  return { x: x + 8 + column * cellWidth, y: y + 30 + row * rowHeight, width: cellWidth }
}

/** Both ways: a head at each end. */
function connection(x1: number, x2: number, y: number, dashed = false): Drawing[] {
  const [one, other] = [
    { x: x1, y },
    { x: x2, y },
  ]
  return [arrow([one, other], gray, dashed), arrow([other, one], gray, dashed)]
}

function subnetAt(graph: TemplateGraph, tier: Tier, zone: string): Resource | undefined {
  const id = `Network${tier.charAt(0).toUpperCase()}${tier.slice(1)}${zone.slice(-1).toUpperCase()}`
  return graph.ofType('AWS::EC2::Subnet').find(({ logicalId }) => logicalId.startsWith(id))
}
