import picocolors from 'picocolors'
import stringWidth from 'string-width'
import { describe, expect, it } from 'vitest'
import { renderEstate } from './estate-view.ts'
import { renderMove } from './move-view.ts'
import * as wallet from './test-fixtures/wallet-status.ts'

const colors = picocolors.createColors(false)
const states = {
  planned: wallet.planned,
  loading: wallet.loading,
  inSync: wallet.inSync,
  cuttingOver: wallet.cuttingOver,
  reversing: wallet.reversing,
  paused: wallet.paused,
}

describe('the view of a move', () => {
  it.each(Object.entries(states))('%s fits its terminal, with and without colours', (_, move) => {
    for (const columns of [60, 80, 132]) {
      for (const style of [colors, picocolors.createColors(true)]) {
        for (const line of renderEstate(wallet.estateOf(move), { colors: style, columns })) {
          expect(stringWidth(line), line).toBeLessThanOrEqual(columns)
        }
      }
    }
  })

  it('shows each table with rows, bytes, share and what is left to wait', () => {
    const view = renderMove(wallet.loading, { colors, columns: 80 })
    expect(view).toContain('  public.accounts          ████████████ 100%         1.2M rows   154 MB     done')
    expect(view.find((line) => line.includes('public.transactions '))).toMatch(/41%\s+19\.8M \/ 48\.0M\s+3\.9 GB/)
    expect(view).toContain('  rate       412k rows/s · 84.3 MB/s · ETA 3m 12s')
    expect(view).toContain('  mover      182 MB of memory · process 4712 · 1 restart')
  })

  it('does not call a table done before its last chunk is, however wrong the estimate was', () => {
    const group = wallet.table('t', { rows: 10, bytes: 10, chunks: 2, loaded: 1 })
    const tooLow = { ...group, loaded: { chunks: 1, rows: 500, bytes: 900 } }
    const load = { groups: [tooLow], rowsPerSecond: 0, bytesPerSecond: 0, etaSeconds: null }
    const view = renderMove({ ...wallet.loading, load }, { colors, columns: 80 }).join('\n')
    expect(view).toMatch(/ 99%/)
    expect(view).not.toMatch(/100%|done/)
  })

  it('shows lag in time and bytes and the very command that comes next', () => {
    const view = renderMove(wallet.inSync, { colors, columns: 80 })
    expect(view).toContain('  lag        12 ms · 4.3 kB')
    expect(view.at(-1)).toBe('  next       replatform cutover ledger')
    expect(renderMove(wallet.reversing, { colors, columns: 80 }).at(-1)).toBe(
      '  next       replatform rollback ledger, or replatform finalize ledger',
    )
  })

  it('shows the steps of a cutover with their times, and the pause so far', () => {
    const view = renderMove(wallet.cuttingOver, { colors, columns: 80 })
    expect(view[1]).toBe('  to the new side, write pause 440 ms of at most 2.0 s')
    expect(view.find((line) => line.includes(' fence '))).toMatch(/^ {2}✓ fence .* 71 ms$/)
    expect(view.find((line) => line.includes(' raise-epoch '))).toMatch(/^ {2}▶ .* now$/)
    expect(view.find((line) => line.includes(' decide '))).toMatch(/^ {2}· /)
  })

  it('says why it is paused and what to do', () => {
    const view = renderMove(wallet.paused, { colors, columns: 80 }).join('\n')
    expect(view).toContain('paused while catching-up')
    expect(view).toContain('target.full: The target ledger.example:5432/ledger has no room')
    expect(view).toContain('Give the target more storage')
  })

  it('takes control characters out of names, which come from databases', () => {
    const group = wallet.table('evil\u001b[2J\nname', { rows: 1, bytes: 1, chunks: 1, loaded: 0 })
    const load = { groups: [group], rowsPerSecond: 0, bytesPerSecond: 0, etaSeconds: null }
    const view = renderMove({ ...wallet.loading, load }, { colors, columns: 80 })
    expect(view.join('\n')).not.toContain('\u001b')
    expect(view.some((line) => line.includes('evil name'))).toBe(true)
  })

  it('sums up tables that do not fit, and never draws higher than the terminal', () => {
    const groups = Array.from({ length: 2_000 }, (_, n) =>
      wallet.table(`public.t${n}`, { rows: n, bytes: n * 100, chunks: 2, loaded: n % 3 }),
    )
    const load = { groups, rowsPerSecond: 1, bytesPerSecond: 1, etaSeconds: null }
    const view = renderEstate(wallet.estateOf({ ...wallet.loading, load }), { colors, columns: 80, rows: 24 })
    expect(view.length).toBeLessThanOrEqual(24)
    expect(view.some((line) => /… and 1,?9\d\d more tables, \d+ of them done/.test(line))).toBe(true)
    // What moves just now is what people want to see.
    expect(view.some((line) => line.includes('public.t1999 '))).toBe(true)
  })
})
