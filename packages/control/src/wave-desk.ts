import { ReplatformError } from '@replatform/core/errors'
import type { EstateWave } from '@replatform/core/estate'
import { type Wave, wavesOf } from '@replatform/core/wave'
import type { Approval } from './approvals.ts'
import type { Incident, Severity } from './incidents.ts'
import { isoNow, type Services } from './services.ts'

export interface ApprovalRequest {
  readonly actor: string
  readonly reason?: string
}

export interface IncidentRequest {
  readonly actor: string
  readonly severity: Severity
  readonly title: string
}

/** What people decide about waves, beside what workers do: approvals, and incidents that stand in the way. */
export class WaveDesk {
  readonly #services: Services

  constructor(services: Services) {
    this.#services = services
  }

  /** Throws `estate.unknown-wave` or `gate.not-approver`; either stands in the audit log. */
  async approve(name: string, request: ApprovalRequest): Promise<Approval> {
    const { actor, reason = null } = request
    const { approvals, estate } = this.#services
    const { declared } = declaredWave(wavesOf(estate), name)
    if (declared.approver !== undefined && !isUser(actor, declared.approver)) {
      const message = `${name} is approved by ${declared.approver}; you are ${actor}.`
      await this.#audit('approve', name, actor, 'refused', message)
      throw new ReplatformError('gate.not-approver', { message })
    }
    const approval = await approvals.add(declared, { actor, reason })
    await this.#audit('approve', name, actor, 'done', reason ?? '')
    return approval
  }

  async openIncident({ actor, severity, title }: IncidentRequest): Promise<Incident> {
    const { incidents, clock } = this.#services
    const incident = await incidents.open({ severity, title, openedBy: actor, openedAt: isoNow(clock) })
    await this.#audit('incident', null, actor, 'done', `opened ${incident.id} (${severity}): ${title}`)
    return incident
  }

  /** Throws `incident.unknown`. */
  async closeIncident(id: number, { actor, reason }: ApprovalRequest): Promise<Incident> {
    const { incidents, clock } = this.#services
    const incident = await incidents.close(id, { actor, at: isoNow(clock) })
    await this.#audit('incident', null, actor, 'done', `closed ${id}${reason ? `: ${reason}` : ''}`)
    return incident
  }

  listIncidents(): Promise<Incident[]> {
    return this.#services.incidents.listOpen()
  }

  async #audit(
    verb: string,
    wave: string | null,
    actor: string,
    outcome: 'done' | 'refused',
    detail: string,
  ): Promise<void> {
    const { audit, clock } = this.#services
    await audit.append({ at: isoNow(clock), actor, verb, move: wave && `wave ${wave}`, outcome, detail })
  }
}

/** Throws `estate.unknown-wave`. */
export function declaredWave(waves: readonly Wave[], name: string): Wave & { readonly declared: EstateWave } {
  const found = waves.find((wave) => wave.name === name)
  if (found?.declared) return { ...found, declared: found.declared }
  const known = waves.filter(({ declared }) => declared).map((wave) => wave.name)
  const there = known.length > 0 ? `there are: ${known.join(', ')}` : 'the estate file declares none'
  throw new ReplatformError('estate.unknown-wave', { message: `There is no wave "${name}"; ${there}.` })
}

/** The estate names a user, on any machine or on one. */
function isUser(actor: string, approver: string): boolean {
  return actor === approver || actor.split('@')[0] === approver
}
