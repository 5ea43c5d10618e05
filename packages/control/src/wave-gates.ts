/** What must hold before a wave may cut over. A gate that cannot be seen through does not hold. */
import { durationMs, type EstateWave } from '@replatform/core/estate'
import type { GateStatus, RehearsalReport } from './api-types.ts'
import type { MoveRecord } from './move-records.ts'
import type { Services } from './services.ts'

export interface GateQuestion {
  readonly wave: EstateWave
  /** The moves that join the pause. */
  readonly moves: readonly MoveRecord[]
  /** Null where the move does not follow, or is hosted elsewhere. */
  readonly lagMsOf: (move: string) => number | null
}

type Gate = (question: GateQuestion, services: GateServices) => Promise<Omit<GateStatus, 'name'> | null>
export type GateServices = Pick<Services, 'approvals' | 'incidents' | 'rehearsals' | 'clock'>

/** Those that the wave declares, in the order in which a person sees to them. */
export async function lookAtGates(question: GateQuestion, services: GateServices): Promise<GateStatus[]> {
  const statuses: GateStatus[] = []
  for (const [name, look] of Object.entries(gates)) {
    const status = await look(question, services)
    if (status) statuses.push({ name: name as GateStatus['name'], ...status })
  }
  return statuses
}

const gates: Record<GateStatus['name'], Gate> = { verified, rehearsed, incidents, lag, window: inWindow, approval }

async function verified({ wave, moves }: GateQuestion, { clock }: GateServices) {
  const within = wave.gates?.verifiedWithin
  if (within === undefined) return null
  const behind = moves.flatMap(({ name, lastCompare }) => {
    if (!lastCompare) return [`${name} was never compared`]
    if (!lastCompare.equal) return [`${name} differed`]
    const isOld = ageMs(lastCompare.finishedAt, clock.wallTime()) > durationMs(within)
    return isOld ? [`${name} was compared at ${lastCompare.finishedAt}`] : []
  })
  const why = `${behind.join(', ')}; wanted: equal within ${within} (\`replatform compare\`)`
  return behind.length > 0 ? closed(why) : holds(`all equal within ${within}`)
}

async function rehearsed({ wave }: GateQuestion, { rehearsals, clock }: GateServices) {
  const within = wave.gates?.rehearsedWithin
  if (within === undefined) return null
  const last = await rehearsals.last(wave.name)
  const how = `(\`replatform rehearse ${wave.name}\`)`
  if (!last) return closed(`the wave was never rehearsed ${how}`)
  if (!last.passed) return closed(`the rehearsal of ${last.at} did not pass ${how}`)
  const isOld = ageMs(last.at, clock.wallTime()) > durationMs(within)
  return isOld
    ? closed(`the last rehearsal was at ${last.at}; wanted: within ${within} ${how}`)
    : holds(`at ${last.at}${exceptUntried(last.report)}`)
}

/** It passed all the same: a worker may have no copy of what stands elsewhere. */
function exceptUntried({ routings }: RehearsalReport): string {
  const untried = routings.filter(({ isTried }) => !isTried)
  if (untried.length === 0) return ''
  return `; not rehearsed: ${untried.map(({ name, detail }) => `${name} (${detail})`).join(', ')}`
}

async function incidents({ wave }: GateQuestion, services: GateServices) {
  const which = wave.gates?.noOpenIncident
  if (which === undefined) return null
  const all = await services.incidents.listOpen()
  const open = which === 'any' ? all : all.filter(({ severity }) => severity === 'severe')
  if (open.length === 0) return holds(which === 'any' ? 'none is open' : 'no severe one is open')
  return closed(open.map(({ id, severity, title }) => `${id} (${severity}) ${title}`).join('; '))
}

async function lag({ wave, moves, lagMsOf }: GateQuestion) {
  const under = wave.gates?.lagUnder
  if (under === undefined) return null
  const lags = moves.map(({ name }) => ({ name, ms: lagMsOf(name) }))
  const unseen = lags.filter(({ ms }) => ms === null).map(({ name }) => name)
  const late = lags.filter(({ ms }) => ms !== null && ms >= durationMs(under)).map(({ name, ms }) => `${name} ${ms} ms`)
  if (late.length > 0) return closed(`${late.join(', ')}; wanted: under ${under}`)
  if (unseen.length > 0) return { state: 'unknown' as const, detail: `not seen from here: ${unseen.join(', ')}` }
  return holds(`under ${under}`)
}

async function inWindow({ wave: { window } }: GateQuestion, { clock }: GateServices) {
  if (!window) return null
  const now = clock.wallTime()
  const text = `${window.from} to ${window.to}`
  if (now < Date.parse(window.from)) return closed(`it opens later: ${text}`)
  return now > Date.parse(window.to) ? closed(`it is over: ${text}`) : holds(text)
}

async function approval({ wave }: GateQuestion, { approvals }: GateServices) {
  if (wave.approver === undefined) return null
  const standing = await approvals.standing(wave)
  if (standing) return holds(`by ${standing.actor} at ${standing.at}`)
  return closed(`${wave.approver} has not approved this cutover yet (\`replatform approve ${wave.name}\`)`)
}

function holds(detail: string) {
  return { state: 'holds' as const, detail }
}

function closed(detail: string) {
  return { state: 'closed' as const, detail }
}

function ageMs(at: string, now: number): number {
  return now - Date.parse(at)
}
