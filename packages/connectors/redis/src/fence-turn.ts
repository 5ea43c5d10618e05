/**
 * A fence, or an unfencing, that was given up may still be carried out, long after: fence-order.ts of the core tells how
 * that would open a second side. Each bears its turn, and each server remembers the newest that it has seen:
 *
 * - From 6 on as a *marker*, a user that nobody can log in as, whose name is the rank of the order. It is made in the
 *   transaction that changes the users and is saved with them, needs no key (which would travel to the target, and which
 *   FLUSHALL takes), and is each server's own, as the users are.
 * - Before 6 in the settings of the fence itself, for as long as it stands; see replica-fence.ts.
 *
 * To look and to change are two requests. But a server carries out nothing more of a connection that it has closed, and
 * it does one thing at a time. So the connections that fence and unfence bear their rank as a name while they do, and
 * close those of lower rank that came before; whoever finds one of higher rank gives up.
 */
import { randomUUID } from 'node:crypto'
import { type FenceOrder, isOrderDue, lateOrder, rankOf } from '@replatform/core/fence-order'
import { type Connection, clientName } from './connection.ts'

export interface FenceTurn {
  /** To the side that is meant, as the mover's user. */
  readonly connection: Connection
  readonly move: string
  readonly order: FenceOrder
}

const turnPrefix = `${clientName}-turn:`

/**
 * Does the work so that it cannot be carried out behind a newer order of the same move. Rejects with `connection.lost`
 * when another has taken the turn meanwhile (what of the work had been answered stands then), and with
 * `fence.superseded` where one has it already.
 */
export async function inTurn<T>({ connection, move, order }: FenceTurn, work: () => Promise<T>): Promise<T> {
  const prefix = `${turnPrefix}${encodeURIComponent(move)}:`
  const rank = rankOf(order)
  // Servers before 5 do not tell a connection its id.
  const ownName = `${prefix}${rank}:${randomUUID()}`
  await connection.command('CLIENT', 'SETNAME', ownName)
  const others = (await listClients(connection)).filter(({ name }) => name.startsWith(prefix) && name !== ownName)
  const rankOfClient = ({ name }: Client) => Number(name.slice(prefix.length).split(':')[0])
  if (order.verb === 'fence' && others.some((other) => rankOfClient(other) > rank)) {
    throw lateOrder(order, placeOf(connection))
  }
  // Two that open for the same turn do the same; of two that fence, the later one knows how long it may.
  await end(
    connection,
    others.filter((other) => rankOfClient(other) < rank || (rankOfClient(other) === rank && order.verb === 'fence')),
  )
  const result = await work()
  await connection.command('CLIENT', 'SETNAME', clientName)
  return result
}

/** Whether there is anything to do. Throws `fence.superseded` where a later turn would be undone. */
export function isDue({ order, connection }: FenceTurn, seen: number | null): boolean {
  return isOrderDue(order, seen, placeOf(connection))
}

/** The mover's own, whatever they are at. */
export function isOurName(name: string): boolean {
  return name === clientName || name.startsWith(turnPrefix)
}

/** A line of CLIENT LIST. */
export interface Client {
  readonly id: string
  /** Empty where it has none. */
  readonly name: string
  /** Undefined before 6. */
  readonly user: string | undefined
  readonly flags: string
}

/** Closes the connections of clients; links of replicas, and whoever monitors, are left alone. */
export async function endClients(connection: Connection, isMeant: (client: Client) => boolean): Promise<void> {
  const meant = (await listClients(connection)).filter(isMeant)
  await end(
    connection,
    meant.filter(({ flags }) => !/[SMO]/.test(flags)),
  )
}

async function end(connection: Connection, clients: readonly Client[]): Promise<void> {
  await connection.pipeline(clients.map(({ id }) => ['CLIENT', 'KILL', 'ID', id]))
}

async function listClients(connection: Connection): Promise<Client[]> {
  const lines = String(await connection.command('CLIENT', 'LIST')).split('\n')
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const fields = new Map(line.split(' ').map((field) => field.split('=', 2) as [string, string]))
      const text = (name: string) => fields.get(name) ?? ''
      return { id: text('id'), name: text('name'), user: fields.get('user'), flags: text('flags') }
    })
}

function placeOf({ place: { side, host, port } }: Connection): string {
  return `the ${side} ${host}:${port}`
}
