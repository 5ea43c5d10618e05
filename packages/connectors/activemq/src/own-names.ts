/** What a move calls its own on the broker. */

/** Container id of the one connection that may write for a move; also of what only looks, with an addition. */
export function connectionName(move: string): string {
  return `replatform-${move}`
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
