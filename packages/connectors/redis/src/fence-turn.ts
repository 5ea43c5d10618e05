/**
 * A fence, or an unfencing, that was given up may still be carried out, long after:
 *
 *   1. a cutover is aborted, its unfencing is sent, and the network stands still (or its process does)
 *   2. another process opens the source in its place
 *   3. the next cutover fences the source again, and decides
 *   4. what was sent in 1 arrives, and would open the source beside its target
 *
 * Rights and settings know no condition that an unfencing could be bound to, and a key of ours on a source would travel
 * to its target. But a server carries out nothing more of a connection that it has closed, and it does one thing at a
 * time. So the connections that fence and unfence bear a name while they do, and a fence closes those that came before
 * it, as an unfencing closes those that were still fencing. Both look at the side only under their name: what they
 * found is what they change, or they change nothing.
 */
import { randomUUID } from 'node:crypto'
import { type Connection, clientName } from './connection.ts'

export interface FenceTurn {
  /** To the side that is meant, as the mover's user. */
  readonly connection: Connection
  readonly move: string
  readonly verb: 'fence' | 'unfence'
}

const turnPrefix = `${clientName}-turn:`

/**
 * Does the work so that it cannot be carried out behind a later fence of the same move. Rejects with `connection.lost`
 * when another has taken the turn meanwhile; what of the work had been answered stands then.
 */
export async function inTurn<T>({ connection, move, verb }: FenceTurn, work: () => Promise<T>): Promise<T> {
  const prefixOf = (each: FenceTurn['verb']) => `${turnPrefix}${each}:${encodeURIComponent(move)}:`
  const superseded = verb === 'fence' ? [prefixOf('fence'), prefixOf('unfence')] : [prefixOf('fence')]
  // Servers before 5 do not tell a connection its id.
  const ownName = `${prefixOf(verb)}${randomUUID()}`
  await connection.command('CLIENT', 'SETNAME', ownName)
  await endClients(connection, (client) => {
    const name = client.get('name') ?? ''
    return name !== ownName && superseded.some((prefix) => name.startsWith(prefix))
  })
  const result = await work()
  await connection.command('CLIENT', 'SETNAME', clientName)
  return result
}

/** The mover's own, whatever they are at. */
export function isOurName(name: string): boolean {
  return name === clientName || name.startsWith(turnPrefix)
}

/** Fields of a line of CLIENT LIST. */
export type Client = ReadonlyMap<string, string>

/** Closes the connections of clients; links of replicas, and whoever monitors, are left alone. */
export async function endClients(connection: Connection, isMeant: (client: Client) => boolean): Promise<void> {
  const meant = (await listClients(connection)).filter(
    (client) => !/[SMO]/.test(client.get('flags') ?? '') && isMeant(client),
  )
  await connection.pipeline(meant.map((client) => ['CLIENT', 'KILL', 'ID', client.get('id') ?? '']))
}

async function listClients(connection: Connection): Promise<Client[]> {
  const lines = String(await connection.command('CLIENT', 'LIST')).split('\n')
  return lines
    .filter((line) => line !== '')
    .map((line) => new Map(line.split(' ').map((field) => field.split('=', 2) as [string, string])))
}
