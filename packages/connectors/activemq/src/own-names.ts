/** What a move calls its own on the broker. */

/** Container id of the connection that holds a move's epoch; also of what only looks, with an addition. */
export function connectionName(move: string): string {
  return `replatform-${move}`
}

/** Of further connections that write beside it. */
export function laneName(move: string, lane: number): string {
  return `${connectionName(move)}-lane-${lane}`
}

export function isOwnConnection(client: string): boolean {
  return client.startsWith('replatform-')
}

export function controlQueue(move: string, record: string): string {
  return `replatform.${move}.${record}`
}

export function ledgerQueue(move: string): string {
  return `replatform.${move}.ledger`
}

export function markerQueue(move: string, queue: string): string {
  return `replatform.${move}.markers.${queue}`
}

export function tapQueue(move: string, queue: string): string {
  return `replatform.${move}.tap.${queue}`
}

export function isOwnQueue(move: string, queue: string): boolean {
  return queue.startsWith(`replatform.${move}.`)
}
