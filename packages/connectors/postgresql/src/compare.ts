/**
 * Compares all rows of two sides by an enumeration of its own: every table is read in the order of its key on both
 * sides at once, as keys and digests that the servers compute, or as it is where rows are short, and merged. Memory does
 * not grow with the tables, and no row value goes further than this process.
 */
import { type CompareResult, type Difference, isEqual } from '@replatform/core/difference'
import { readTables, type Table } from './catalog.ts'
import { type ChangedKeys, compareChangedKeys } from './compare-changed.ts'
import { type ComparePlan, nextKeySetting, planCompare, readInOrder } from './compare-plan.ts'
import type { CompareProgress, EqualPart } from './compare-progress.ts'
import { describeSamples } from './compare-samples.ts'
import { mergeCompare, mostSamples, type Tally } from './merge-compare.ts'
import { RowStream } from './row-stream.ts'
import type { Session } from './session.ts'

export interface CompareTablesOptions {
  /** Both are in the transaction that is to be compared, REPEATABLE READ; after a rejection they are of no use. */
  readonly source: Session
  readonly target: Session
  readonly report?: (progress: { readonly name: string; readonly processed: number; readonly total: number }) => void
  readonly signal?: AbortSignal
  /** Where to go on, and where it is noted how far this comparison is. */
  readonly resume?: Resume | undefined
}

export interface Resume {
  readonly progress: CompareProgress
  /** Keys of a table that were written after a position; an empty key stands for the whole table. */
  readonly writtenSince: (relation: string, at: string) => AsyncIterable<ChangedKeys>
}

/** Every table of either side, in the order of their names. */
export async function compareTables(options: CompareTablesOptions): Promise<CompareResult[]> {
  const pairs = await readPairs(options)
  const results: CompareResult[] = []
  for (const [name, pair] of pairs) results.push(await comparePair(options, name, pair))
  return results
}

/**
 * Only the rows whose keys are named, each once or more; an empty key stands for the whole table. Tables of which no
 * key is named have no result. A key that is on neither side counts for nothing.
 */
export async function compareKeys(
  options: CompareTablesOptions & { readonly changed: AsyncIterable<ChangedKeys> },
): Promise<CompareResult[]> {
  const pairs = await readPairs(options)
  const keyed = new Map<string, { readonly plan: ComparePlan; readonly tally: Tally }>()
  const whole = new Set<string>()
  await preferIndexes(options, true)
  for await (const batch of options.changed) {
    options.signal?.throwIfAborted()
    const pair = pairs.get(batch.relation) ?? {}
    if (!isPaired(pair) || pair.target.key.length === 0 || batch.keys.some((key) => key.length === 0)) {
      whole.add(batch.relation)
    }
    if (!isPaired(pair) || whole.has(batch.relation)) continue
    const known = keyed.get(batch.relation)
    const plan = known?.plan ?? planCompare(pair.source, pair.target, pair.target.key)
    const tally = await compareChangedKeys(options, { plan, keys: batch.keys, tally: known?.tally })
    keyed.set(batch.relation, { plan, tally })
    options.report?.({ name: batch.relation, processed: tally.processed, total: tally.processed })
  }
  const results: CompareResult[] = []
  for (const [name, { plan, tally }] of keyed) {
    if (!whole.has(name)) results.push(await toResult(options, plan, tally))
  }
  await preferIndexes(options, false)
  for (const name of whole) results.push(await comparePair(options, name, pairs.get(name) ?? {}))
  return results.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Tables that were just loaded may have no statistics yet, and a few keys are never worth reading all of a table. */
async function preferIndexes({ source, target }: CompareTablesOptions, isPreferred: boolean): Promise<void> {
  const setting = `SET LOCAL enable_seqscan = ${isPreferred ? 'off' : 'on'}`
  await Promise.all([source.query(setting), target.query(setting)])
}

interface Pair {
  readonly source?: Table
  readonly target?: Table
}

async function readPairs({ source, target }: CompareTablesOptions): Promise<Map<string, Pair>> {
  const [sources, targets] = await Promise.all([source, target].map(readComparable))
  const pairs = new Map<string, Pair>()
  for (const table of sources ?? []) pairs.set(table.label, { source: table })
  for (const table of targets ?? []) pairs.set(table.label, { ...pairs.get(table.label), target: table })
  return new Map([...pairs].sort(([a], [b]) => (a < b ? -1 : 1)))
}

async function readComparable(session: Session): Promise<Table[]> {
  await session.query(`SET LOCAL work_mem = '64MB'; SET LOCAL jit = off`)
  return readTables(session)
}

async function comparePair(options: CompareTablesOptions, name: string, pair: Pair): Promise<CompareResult> {
  if (!isPaired(pair)) return unpairedResult(options, name, pair)
  const plan = planCompare(pair.source, pair.target)
  const part = await stillEqual(options, plan)
  if (part?.next === null) return equalResult(name, part.rows)
  const tally = await mergeTables(options, plan, part)
  const result = await toResult(options, plan, tally)
  if (isEqual(result)) await options.resume?.progress.finish(plan, result.processed)
  return part ? { ...result, resumed: part.rows } : result
}

function equalResult(name: string, rows: number): CompareResult {
  return { name, processed: rows, matching: rows, mismatched: 0, missing: 0, extra: 0, resumed: rows, samples: [] }
}

/** What an earlier run found equal, if that still holds: keys written since are looked at again. */
async function stillEqual(options: CompareTablesOptions, plan: ComparePlan): Promise<EqualPart | undefined> {
  const { resume } = options
  const part = resume?.progress.partOf(plan)
  if (!resume || !part) return undefined
  await preferIndexes(options, true)
  let isEqualStill = true
  for await (const { keys } of resume.writtenSince(plan.source.label, part.at)) {
    if (plan.key.length === 0 || keys.some((key) => key.length === 0)) isEqualStill = false
    // The server's cursor is read to its end all the same.
    if (!isEqualStill) continue
    const tally = await compareChangedKeys(options, {
      plan: planCompare(plan.source, plan.target, plan.target.key),
      keys,
    })
    isEqualStill = tally.mismatched + tally.missing + tally.extra === 0
  }
  await preferIndexes(options, false)
  return isEqualStill ? part : undefined
}

function isPaired(pair: Pair): pair is Required<Pair> {
  return pair.source !== undefined && pair.target !== undefined
}

async function mergeTables(options: CompareTablesOptions, plan: ComparePlan, from?: EqualPart): Promise<Tally> {
  const { signal, report, resume } = options
  const before = from?.rows ?? 0
  signal?.throwIfAborted()
  if (from) await startAt(options, from.next ?? [])
  const fields = Math.max(plan.key.length, 1)
  const source = new RowStream(options.source, {
    statement: readInOrder(plan, plan.source, from !== undefined),
    fields,
  })
  const target = new RowStream(options.target, {
    statement: readInOrder(plan, plan.target, from !== undefined),
    fields,
  })
  const giveUp = () => {
    source.destroy()
    target.destroy()
  }
  signal?.addEventListener('abort', giveUp, { once: true })
  try {
    const { label: name, rows } = plan.source
    const onProgress =
      report && ((read: number) => report({ name, processed: before + read, total: Math.max(rows, before + read) }))
    const onEqual = resume && ((read: number) => resume.progress.mark(plan, source, before + read))
    const orders = plan.key.map((column) => column.order)
    const tally = await mergeCompare({ source, target, orders, onProgress, onEqual })
    await resume?.progress.settle()
    return { ...tally, processed: tally.processed + before, matching: tally.matching + before }
  } catch (thrown) {
    giveUp()
    throw signal?.aborted ? signal.reason : thrown
  } finally {
    signal?.removeEventListener('abort', giveUp)
  }
}

async function startAt({ source, target }: CompareTablesOptions, key: readonly string[]): Promise<void> {
  for (const [i, value] of key.entries()) {
    const set = { text: 'SELECT set_config($1, $2, true)', values: [nextKeySetting(i), value] }
    await Promise.all([source.query(set), target.query(set)])
  }
}

/** Where a column is on one side only no row of the table is whole on both: all that matched otherwise is mismatched. */
async function toResult(sides: CompareTablesOptions, plan: ComparePlan, tally: Tally): Promise<CompareResult> {
  const { samples, ...counts } = tally
  const described = await describeSamples(sides, plan, samples)
  const result = { name: plan.source.label, ...counts }
  if (plan.unpaired.length === 0) return { ...result, samples: described }
  const shape: Difference = { kind: 'mismatched', key: 'every row', columns: plan.unpaired }
  return {
    ...result,
    matching: 0,
    mismatched: Math.max(counts.mismatched + counts.matching, 1),
    samples: [shape, ...described].slice(0, mostSamples),
  }
}

/** A table without a counterpart is a difference even when it is empty. */
async function unpairedResult(sides: CompareTablesOptions, name: string, pair: Pair): Promise<CompareResult> {
  const counts = { processed: 0, matching: 0, mismatched: 0, missing: 0, extra: 0 }
  const table = pair.source ?? pair.target
  if (!table) return { name, ...counts, samples: [] }
  const session = pair.source ? sides.source : sides.target
  const { rows } = await session.query(`SELECT count(*) AS count FROM ONLY ${table.qualified}`)
  const count = Number((rows[0] as { count: string }).count)
  const kind = pair.source ? 'missing' : 'extra'
  const samples: Difference[] = [{ kind, key: 'the whole table' }]
  return { name, ...counts, processed: pair.source ? count : 0, [kind]: Math.max(count, 1), samples }
}
