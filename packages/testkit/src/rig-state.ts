/** How `npm run rig` finds the servers that it started: a file that only their owner can read, for it has passwords. */
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'

export interface RigState {
  /** Of the keeper, which owns all servers. */
  readonly pid: number
  /** Where the keeper answers. */
  readonly socket: string
  /** Addresses with their passwords, by name. */
  readonly members: Readonly<Record<string, string>>
}

export interface RigMemberStatus {
  readonly name: string
  /** Without user and password. */
  readonly address: string
  readonly tls: boolean
  readonly answers: boolean
  readonly problem?: string
  readonly answerMs: number
  readonly memoryBytes: number
  /** Where its processes work, and its logs lie. */
  readonly folders: readonly string[]
}

export function rigStateFile(folder: string): string {
  return join(folder, 'estate.json')
}

/** `undefined` when nothing was started, or when whoever did it did not live to tidy up. */
export async function readRigState(folder: string): Promise<RigState | undefined> {
  const text = await readFile(rigStateFile(folder), 'utf8').catch(() => undefined)
  const state = text === undefined ? undefined : (JSON.parse(text) as RigState)
  // The process id alone proves nothing: it may be another's by now.
  return (
    state &&
    (await askKeeper(state).then(
      () => state,
      () => undefined,
    ))
  )
}

export async function askKeeper({ socket }: RigState): Promise<RigMemberStatus[]> {
  return await new Promise((resolve, reject) => {
    const asked = request({ socketPath: socket, path: '/' }, (response) => {
      json(response).then((statuses) => resolve(statuses as RigMemberStatus[]), reject)
    })
    asked.once('error', reject).end()
  })
}
