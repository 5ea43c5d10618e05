/** The data-flow diagram as SVG: places in columns, lines that say protocol, encryption and what of card numbers passes. */
import Elk, { type ElkExtendedEdge, type ElkNode } from 'elkjs/lib/elk.bundled.js'
import type { Blueprint } from '../plan/blueprint.ts'
import { type CardForm, type DataFlow, type DataPlace, dataFlowsOf } from './data-flow.ts'
import type { Glyph } from './glyphs.ts'
import { arrow, box, type Drawing, frame, icon, label, palette, svg } from './svg.ts'

const height = 100
const margin = 24
const head = 92
const fontSize = 10

/** Drawn from the flows that `infra check` holds the templates to. Lays out the same way every time. */
export async function drawDataFlow(blueprint: Blueprint): Promise<string> {
  const { places, flows } = dataFlowsOf(blueprint)
  const laid = await new Elk.default().layout(graphOf(places, flows), { layoutOptions: options })
  const width = Math.max((laid.width ?? 0) + margin * 2, 900)
  const bottom = (laid.height ?? 0) + head + 76
  const { estate, environment, phase, settings } = blueprint
  return svg(width, bottom, [
    label(margin, 38, `${estate}: data flows of ${environment}, phase ${phase}`, { size: 22, weight: 600 }),
    label(
      margin,
      60,
      'A service stands with its balancer. What AWS itself is asked (secrets, logs) is in the register.',
      {
        size: 13,
        color: palette.quiet,
      },
    ),
    ...(laid.children ?? []).flatMap((group) => groupDrawing(group, settings.network)),
    ...(laid.edges ?? []).flatMap((edge) => edgeDrawing(edge, flows)),
    ...(laid.children ?? []).flatMap((group) =>
      (group.children ?? [group]).flatMap((node) => placeDrawing(node, places)),
    ),
    ...legend(bottom - 40),
  ])
}

const options = {
  'elk.algorithm': 'layered',
  'elk.direction': 'RIGHT',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
  'elk.json.shapeCoords': 'ROOT',
  'elk.json.edgeCoords': 'ROOT',
  'elk.layered.spacing.nodeNodeBetweenLayers': '46',
  'elk.layered.spacing.edgeNodeBetweenLayers': '18',
  'elk.spacing.edgeEdge': '14',
  'elk.spacing.edgeNode': '18',
  'elk.spacing.nodeNode': '26',
  'elk.spacing.edgeLabel': '4',
  'elk.randomSeed': '1',
}

function graphOf(places: readonly DataPlace[], flows: readonly DataFlow[]): ElkNode {
  const nodeOf = ({ id, name }: DataPlace): ElkNode => ({ id, width: Math.max(104, name.length * 6 + 20), height })
  const inside = (side: DataPlace['side']) => places.filter((place) => place.side === side).map(nodeOf)
  return {
    id: 'root',
    children: [
      ...inside('outside'),
      {
        id: 'network',
        children: [...inside('services'), ...inside('stores')],
        layoutOptions: { 'elk.padding': '[top=40,left=24,bottom=24,right=24]' },
      },
    ],
    edges: flows.map((flow, index) => ({
      id: String(index),
      sources: [flow.from],
      targets: [flow.to],
      labels: textsOf(flow).map((text) => ({ text, width: text.length * fontSize * 0.56, height: fontSize + 3 })),
    })),
  }
}

function textsOf({ protocol, encryption, cardData }: DataFlow): string[] {
  return [`${protocol}, ${encryption}`, ...(cardData === 'none' ? [] : [cardData])]
}

function groupDrawing({ id, x = 0, y = 0, width = 0, height = 0 }: ElkNode, range: string): Drawing[] {
  if (id !== 'network') return []
  return [box({ x: x + margin, y: y + head, width, height, title: `AWS, VPC ${range}`, color: palette.network })]
}

const glyphOf: Readonly<Record<string, readonly [glyph: Glyph, color: string]>> = {
  'service': ['scaling', palette.compute],
  'Fargate': ['container', palette.compute],
  'administration': ['plug', palette.network],
  'RDS': ['database', palette.database],
  'DocumentDB': ['document', palette.database],
  'ElastiCache': ['bolt', palette.database],
  'Amazon MQ': ['queue', palette.management],
  'OpenSearch': ['search', palette.network],
  'S3': ['bucket', palette.storage],
  'EFS': ['folder', palette.storage],
  'FSx': ['folder', palette.storage],
  'EC2, as it was': ['machine', palette.compute],
  'users': ['people', palette.quiet],
  'operators': ['people', palette.quiet],
  'bank': ['bank', palette.quiet],
  'old site': ['house', palette.quiet],
}

function placeDrawing({ id, x = 0, y = 0, width = 0 }: ElkNode, places: readonly DataPlace[]): Drawing[] {
  const place = places.find((one) => one.id === id)
  if (!place) return []
  const [glyph, color] = glyphOf[place.kind] ?? ['cloud', palette.quiet]
  const at = { x: x + margin, y: y + head, width }
  const held = place.holds && place.holds !== 'none' ? place.holds : ''
  return [
    frame({ ...at, height }),
    icon({ ...at, y: at.y + 8, glyph, color, name: place.name, kind: place.kind }),
    label(at.x + width / 2, at.y + height - 8, held, {
      size: fontSize,
      weight: 600,
      color: cardColors[place.holds ?? 'none'],
      anchor: 'middle',
    }),
  ]
}

function edgeDrawing({ id, sections = [], labels = [] }: ElkExtendedEdge, flows: readonly DataFlow[]): Drawing[] {
  const { cardData } = flows[Number(id)] as DataFlow
  const color = cardColors[cardData]
  const moved = ({ x, y }: { x: number; y: number }) => ({ x: x + margin, y: y + head })
  return [
    ...sections.map(({ startPoint, bendPoints = [], endPoint }) =>
      arrow([startPoint, ...bendPoints, endPoint].map(moved), color, cardData === 'undeclared'),
    ),
    ...labels.map(({ x = 0, y = 0, text = '' }) =>
      label(x + margin, y + head + fontSize, text, { size: fontSize, color }),
    ),
  ]
}

/** Told apart by words too: each line says what passes. */
const cardColors: Readonly<Record<CardForm, string>> = {
  'none': palette.quiet,
  'truncated': '#8A6D00',
  'tokenised': '#0A6EBD',
  'field-encrypted': '#6B2FB3',
  'whole': '#C7131F',
  'undeclared': '#000000',
}

function legend(y: number): Drawing[] {
  const entries = Object.entries(cardColors)
  return [
    label(margin, y, 'Card numbers:', { size: 12, weight: 600 }),
    ...entries.flatMap(([form, color], index) => {
      const x = margin + 110 + index * 146
      return [
        arrow(
          [
            { x, y: y - 4 },
            { x: x + 26, y: y - 4 },
          ],
          color,
          form === 'undeclared',
        ),
        label(x + 34, y, form, { size: 12, color }),
      ]
    }),
  ]
}
