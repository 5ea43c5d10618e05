import type { Finding } from '@replatform/core/finding'
import type { RoutingCopy } from '@replatform/core/routing'
import type { CutoverParticipant } from '@replatform/engine/cutover-participant'
import { type Rehearsal, type RehearsedStep, rehearse } from '@replatform/engine/rehearsal'
import type { RehearsalReport } from './api-types.ts'
import { participantOf } from './cutover-participants.ts'
import type { HostedMove } from './hosted-move.ts'
import type { HostedWave } from './hosted-wave.ts'
import type { Performed } from './operation-performing.ts'
import type { OperationRecord } from './operation-records.ts'
import { predictPause } from './pause-prediction.ts'
import { isoNow } from './services.ts'
import { assessMove } from './verb-handlers.ts'
import { joining } from './wave-rules.ts'

/** The whole wave without the switch, with a report. Production is neither held nor fenced. */
export async function rehearseWave(wave: HostedWave, operation: OperationRecord): Promise<Performed> {
  const { rehearsals, clock } = wave.services
  const moves = joining(wave.moves)
  const findings = [...(await Promise.all(moves.map(assessMove))).flat(), ...(await assessGateways(wave))]
  const rehearsal = await tryOut(wave, moves, operation)
  const { error } = rehearsal
  const report = reportOf(rehearsal, { findings, budgetMs: wave.wave.budgetMs })
  const { passed } = report
  // A worker that stops in the middle of it leaves it to the next, and then that one's report counts.
  if (error?.code !== 'operation.interrupted') {
    await rehearsals.add(operation.id, wave.wave.name, { passed, at: isoNow(clock), report })
  }
  return error ? { result: { kind: 'rehearsal', report }, error } : { result: { kind: 'rehearsal', report } }
}

async function assessGateways({ wave, services }: HostedWave): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const gateway of wave.declared ? await services.connectors.createGateways(wave.declared) : []) {
    await using open = gateway
    findings.push(...(await open.assess()))
  }
  return findings
}

async function tryOut(wave: HostedWave, moves: readonly HostedMove[], { id }: OperationRecord) {
  const { connectors, decisions, clock } = wave.services
  const { declared, budgetMs } = wave.wave
  await using opened = new AsyncDisposableStack()
  const open = (copies: readonly RoutingCopy[]) => copies.map((copy) => opened.use(copy))
  const participants: CutoverParticipant[] = []
  const stores: RoutingCopy[] = []
  for (const { name, store, supervisor } of moves) {
    stores.push(...open(await connectors.createCopies(store)))
    participants.push(participantOf({ name, direction: 'forward', budgetMs, supervisor, routings: [] }))
  }
  const gateways = declared ? open(await connectors.createCopies(declared)) : []
  try {
    const report = (step: RehearsedStep) => journalled(wave, moves, id, step)
    return await rehearse({ id, participants, copies: { gateways, stores }, decisions, clock, budgetMs, report })
  } finally {
    for (const move of moves) move.startIfWanted()
  }
}

async function journalled(wave: HostedWave, moves: readonly HostedMove[], operation: string, step: RehearsedStep) {
  if (step.ms === null) return
  const { journal, clock } = wave.services
  for (const { name } of moves) {
    const entry = { move: name, operation, name: step.step, description: step.note }
    await journal.finished(await journal.started(entry, isoNow(clock)), step.ms, null)
  }
}

function reportOf(
  { steps, routings, error }: Rehearsal,
  { findings, budgetMs }: { readonly findings: readonly Finding[]; readonly budgetMs: number },
): RehearsalReport {
  const prediction = predictPause({ rehearsed: steps, taken: [], lagMs: null }) ?? { ms: 0, parts: [] }
  const blockers = findings.filter(({ severity }) => severity === 'blocker').map(({ id, title }) => `${id}: ${title}`)
  const errors = routings.flatMap(({ name, felt }) =>
    felt && felt.errors > 0 ? [`a client of the copy of ${name} saw ${felt.errors} errors instead of a wait`] : [],
  )
  const problems = [
    ...blockers,
    ...(error ? [`${error.code}: ${error.message}`] : []),
    ...errors,
    ...(prediction.ms > budgetMs ? [`the pause would take ${prediction.ms} ms, the budget is ${budgetMs} ms`] : []),
  ]
  return { passed: problems.length === 0, problems, steps, routings, prediction, findings }
}
