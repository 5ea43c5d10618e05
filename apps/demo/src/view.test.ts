import { colorsFor } from '@replatform/cli/io'
import stringWidth from 'string-width'
import { expect, test } from 'vitest'
import { actsOf } from './script.ts'
import { renderView } from './view.ts'

const acts = actsOf({ phases: ['rehost', 'replatform'], isBrief: false })
const colors = colorsFor(process.stderr, { NO_COLOR: '1' }, false)

const seen = {
  nowMs: 83_000,
  acknowledged: 15_204,
  payments: Array.from({ length: 300 }, (_, n) => ({ atMs: n * 500, perSecond: 200, p50Ms: 3, p99Ms: 9 })),
  samples: [{ atMs: 80_000, move: 'ledger', lagMs: 12, rowsPerSecond: 1_204 }],
  pauses: [{ name: 'cutover', fromMs: 140_100, ms: 412, feltMs: 530, steps: [] }],
  stops: [{ atMs: 60_000, phase: 'rehost', name: 'rollback', title: '' }],
  moves: [
    {
      name: 'ledger',
      route: 'postgresql→postgresql',
      state: 'reversing',
      direction: 'reverse',
      paused: null,
      load: null,
      follow: { lagMs: 12 },
    },
    {
      name: 'sessions',
      route: 'redis→redis',
      state: 'cutting-over',
      direction: 'forward',
      paused: null,
      load: null,
      follow: null,
    },
    {
      name: 'events',
      route: 'rabbitmq→activemq',
      state: 'planned',
      direction: null,
      paused: null,
      load: null,
      follow: null,
    },
  ],
} as unknown as Parameters<typeof renderView>[0]

test.each([
  [60, 16],
  [80, 24],
  [100, 30],
  [120, 40],
  [200, 60],
])('the panel fits a terminal of %i columns and %i rows, with room for what is told above', (columns, rows) => {
  const lines = renderView(seen, { acts, columns, rows, colors })
  expect(Math.max(...lines.map((line) => stringWidth(line)))).toBeLessThanOrEqual(columns)
  expect(lines.length).toBeLessThanOrEqual(rows - 2)
})

test('it says where the play is, which side takes writes, and what was felt of each pause', () => {
  const text = renderView(seen, { acts, columns: 140, rows: 40, colors }).join('\n')
  expect(text).toMatch(/●━+●━+●━+●━+◉─+○/)
  expect(text).toMatch(/ledger.*moved.*lag 12 ms.*1,204\/s.*old ○ ◂ ● new/)
  expect(text).toMatch(/sessions.*cutting over.*old ◌ ⏸ ◌ new/)
  expect(text).toMatch(/events.*planned.*old ● {3}○ new/)
  expect(text).toMatch(/payments\/s +200/)
  expect(text).toContain('cutover 412 ms (felt 530 ms)')
  expect(text).toContain('▲')
})

test('nothing is known at the beginning, and the panel can be drawn all the same', () => {
  const nothing = { nowMs: 0, acknowledged: 0, payments: [], samples: [], pauses: [], stops: [], moves: [] }
  expect(renderView(nothing, { acts, columns: 100, rows: 30, colors }).join('\n')).toContain('none yet')
})
