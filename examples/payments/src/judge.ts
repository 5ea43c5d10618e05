import { checkAccounts, checkTransfers } from './check-bookkeeping.ts'
import { checkPayments, type Seeded } from './check-payments.ts'
import { checkSides } from './check-sides.ts'
import { Findings } from './findings.ts'
import { JournalTable } from './journal-table.ts'
import { LedgerSnapshot } from './ledger-snapshot.ts'
import { corruptions, type Verdict } from './verdict.ts'

export interface JudgeOptions {
  readonly journals: readonly string[]
  /** The ledger that counts now. */
  readonly url: string
  /** The other side, when both are expected to be equal. */
  readonly otherUrl?: string | undefined
  /** What stood in the ledger before the load; without it, that it is unchanged cannot be said. */
  readonly baseline?: Baseline | undefined
}

export interface Baseline {
  readonly seeded: Seeded
  /** Sum of all balances, in dong. */
  readonly balanceSum: string
}

/**
 * Holds a ledger against the journals of all the load it has seen. Reads one consistent snapshot; memory does not grow
 * with the number of payments. Call when nobody pays any more: a payment on its way is not in the journal as such.
 */
export async function judge(options: JudgeOptions): Promise<Verdict> {
  const startedAt = performance.now()
  const findings = new Findings(corruptions)
  using journal = new JournalTable()
  for (const path of options.journals) await journal.add(path)
  await using ledger = await LedgerSnapshot.open(options.url)
  const { seeded, ...counts } = await checkPayments(journal, ledger, findings)
  await checkTransfers(ledger, findings)
  const { accounts, entries, sum } = await checkAccounts(ledger, findings)
  if (options.otherUrl !== undefined) {
    await using other = await LedgerSnapshot.open(options.otherUrl)
    await checkSides(journal, ledger, other, findings)
  }
  if (options.baseline !== undefined && !isSame(seeded, options.baseline.seeded))
    findings.found('seededDiffer', 'seed:')
  const { count, keys } = journal.differing
  findings.add('repliesDiffer', count, keys)
  // Every dong comes out of a house account, so that all balances together are always nothing.
  const balanceSum = { expected: options.baseline?.balanceSum ?? '0', actual: String(sum) }
  const sumDiffers = balanceSum.expected !== balanceSum.actual
  return {
    verdict: findings.gravest() ?? (sumDiffers ? 'balanceSum' : 'clean'),
    ...counts,
    ...findings.counts,
    balanceSum,
    accounts,
    entries,
    seconds: Math.round(performance.now() - startedAt) / 1000,
    samples: findings.samples,
  }
}

/** What the ledger holds before any load, to be given to `judge` afterwards. */
export async function recordBaseline(url: string): Promise<Baseline> {
  using nothing = new JournalTable()
  await using ledger = await LedgerSnapshot.open(url)
  const { seeded } = await checkPayments(nothing, ledger, new Findings(corruptions))
  const { sum } = await checkAccounts(ledger, new Findings(corruptions))
  return { seeded, balanceSum: String(sum) }
}

function isSame(one: Seeded, other: Seeded): boolean {
  return one.count === other.count && one.digest === other.digest
}
