import { lookup } from 'node:dns/promises'
import { access, constants, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import type { Finding } from '@replatform/core/finding'
import type { Place } from '@replatform/core/routing'
import { readServers, readTraffic, type ServerState } from './backend-state.ts'
import type { RuntimeApi } from './runtime-api.ts'

export interface AssessmentSubject {
  readonly api: RuntimeApi
  readonly backend: string
  readonly servers: Readonly<Record<Place, readonly string[]>>
  readonly wait: string
  readonly stateFile?: string | undefined
  readonly addresses?: Readonly<Record<Place, { readonly host: string; readonly port: number }>> | undefined
}

/** What would make a hold or a switchover through this HAProxy fail. Changes nothing. */
export async function assessHaproxy(subject: AssessmentSubject): Promise<Finding[]> {
  const onFile = await assessStateFile(subject)
  try {
    const { api, backend } = subject
    const level = await api.ask(['show cli level'])
    const states = await readServers(api, backend)
    const { mode } = await readTraffic(api, backend)
    return [
      ...(level === 'admin' ? [] : [notAdmin(api, level)]),
      ...assessServers(subject, states),
      ...(await assessAddresses(subject, states)),
      ...(mode === 'tcp' ? [sessionsEnd(backend)] : []),
      ...onFile,
    ]
  } catch (error) {
    if (error instanceof ReplatformError) return [unreachable(error), ...onFile]
    throw error
  }
}

function assessServers(subject: AssessmentSubject, states: ReadonlyMap<string, ServerState>): Finding[] {
  const { backend, servers, wait } = subject
  const named = [...new Set([...servers.old, ...servers.new, wait])]
  const missing = named.filter((name) => !states.has(name))
  if (missing.length > 0) return [unknownServer(backend, missing)]
  const other = [...states.keys()].filter((name) => !named.includes(name) && !states.get(name)?.inMaintenance)
  const waiting = states.get(wait)
  return [
    ...(other.length > 0 ? [servesMore(backend, other)] : []),
    ...(waiting?.inMaintenance === false ? [isHeld(backend, wait)] : []),
  ]
}

/** A side that HAProxy reaches under another name is no fault; a swapped pair would be. */
async function assessAddresses(
  { servers, addresses, backend }: AssessmentSubject,
  states: ReadonlyMap<string, ServerState>,
): Promise<Finding[]> {
  if (!addresses) return []
  const findings: Finding[] = []
  for (const place of ['old', 'new'] as const) {
    for (const name of servers[place]) {
      const state = states.get(name)
      if (!state || (await isAt(state, addresses[place]))) continue
      findings.push(elsewhere(`${backend}/${name}`, place, state, addresses[place]))
    }
  }
  return findings
}

async function isAt(state: ServerState, { host, port }: { host: string; port: number }): Promise<boolean> {
  if (state.port !== port) return false
  if (state.host === host) return true
  const found = await lookup(host, { all: true }).catch(() => [])
  return found.some(({ address }) => address === state.host)
}

async function assessStateFile({ stateFile, backend }: AssessmentSubject): Promise<Finding[]> {
  if (!stateFile) return [notKept(backend)]
  try {
    const target = await realpath(stateFile)
    await access(target, constants.W_OK)
    await access(dirname(target), constants.W_OK)
    const { uid } = await stat(target)
    const self = process.geteuid?.() ?? 0
    if (self !== 0 && uid !== self) throw new Error(`it belongs to user ${uid}`)
    return []
  } catch (error) {
    return [
      {
        id: 'haproxy.state-not-writable',
        severity: 'blocker',
        title: `${stateFile} cannot be replaced, so a hold would fail and a switchover would not last.`,
        evidence: [error instanceof Error ? error.message : String(error)],
        remedy:
          'Create it, and run the worker on HAProxy’s machine as the user who owns it, with write access to its folder.',
      },
    ]
  }
}

function notKept(backend: string): Finding {
  return {
    id: 'haproxy.state-not-kept',
    severity: 'risk',
    title: 'No state file is named: after a reload HAProxy sends clients where its configuration says.',
    evidence: [],
    remedy:
      `Name HAProxy’s server-state-file as stateFile. Where it is on another machine, change the configuration of ${backend} ` +
      'right after the cutover, before anything reloads HAProxy.',
  }
}

function notAdmin(api: RuntimeApi, level: string): Finding {
  return {
    id: 'haproxy.not-admin',
    severity: 'blocker',
    title: `The runtime API at ${api.address} is open at level ${level || 'unknown'} only.`,
    evidence: [],
    remedy: 'Give the stats socket "level admin", then reload HAProxy.',
  }
}

function unreachable(error: ReplatformError): Finding {
  return {
    id: 'haproxy.unreachable',
    severity: 'blocker',
    title: 'HAProxy’s runtime API cannot be used.',
    evidence: [error.message],
    remedy: 'Correct socket and backend in the estate file, or add a stats socket at level admin and reload HAProxy.',
  }
}

function unknownServer(backend: string, missing: readonly string[]): Finding {
  return {
    id: 'haproxy.unknown-server',
    severity: 'blocker',
    title: `The backend ${backend} lacks servers that the switchover needs.`,
    evidence: missing,
    remedy:
      'Add them: those of the new side with "disabled", and one that waits, "server wait 127.0.0.1:1 disabled". ' +
      'The backend also needs "option redispatch 1", "retries 3000" and "timeout connect 100ms".',
  }
}

function servesMore(backend: string, names: readonly string[]): Finding {
  return {
    id: 'haproxy.other-server',
    severity: 'blocker',
    title: `The backend ${backend} has servers in service that belong to neither side: they would not be held.`,
    evidence: names,
    remedy: 'Name them under old or new, or set them to maint.',
  }
}

function isHeld(backend: string, wait: string): Finding {
  return {
    id: 'haproxy.held',
    severity: 'blocker',
    title: `The clients of ${backend} are held already: its server ${wait} is in service.`,
    evidence: [],
    remedy: `Set the servers of the side in use to ready, and ${backend}/${wait} to maint.`,
  }
}

function elsewhere(
  server: string,
  place: Place,
  state: ServerState,
  expected: { host: string; port: number },
): Finding {
  return {
    id: 'haproxy.points-elsewhere',
    severity: 'risk',
    title: `HAProxy’s server ${server} is not at the address of the ${place} side.`,
    evidence: [`HAProxy: ${state.host}:${state.port}`, `estate: ${expected.host}:${expected.port}`],
    remedy: 'Make sure that both are the same store; write the address in the same way where you can.',
  }
}

function sessionsEnd(backend: string): Finding {
  return {
    id: 'haproxy.sessions-end',
    severity: 'note',
    title: `Every open connection to ${backend} is ended once at the beginning of the pause.`,
    evidence: [],
    remedy:
      'Nothing, where clients connect again by themselves: their new connections wait. A command without an answer may have been carried out.',
  }
}
