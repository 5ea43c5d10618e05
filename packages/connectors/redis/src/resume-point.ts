/**
 * Where a source can go on for us. It is looked up before it is asked, since a source that cannot go on would begin to
 * write a snapshot for us.
 */
import type { Connection } from './connection.ts'
import type { ReplicationPoint } from './psync.ts'
import { readInfo } from './server-info.ts'

/** What a source remembers: its history's name, the one before, how far that goes, and what its backlog holds. */
export interface Memory {
  readonly replid: string
  readonly replid2: string
  /** First offset that the history before does not have; -1 for none. */
  readonly secondOffset: number
  readonly firstByte: number
  readonly bytes: number
}

/** Null for a source before 4.0, which tells too little: it must be asked. */
export async function readMemory(source: Connection): Promise<Memory | null> {
  const fields = await readInfo(source, 'replication')
  const replid = fields.get('master_replid')
  if (replid === undefined) return null
  const number = (name: string) => Number(fields.get(name) ?? 0)
  return {
    replid,
    replid2: fields.get('master_replid2') ?? '',
    secondOffset: number('second_repl_offset'),
    firstByte: number('repl_backlog_first_byte_offset'),
    bytes: fields.get('repl_backlog_active') === '1' ? number('repl_backlog_histlen') : 0,
  }
}

/** Whether what comes after the point is there, and belongs to the history that the point is of. */
export function canGoOn(memory: Memory, { replid, offset }: ReplicationPoint): boolean {
  const { firstByte, bytes } = memory
  // A backlog that holds nothing begins behind the present end; one that is not there, at 0.
  return isShared(memory, { replid, offset }) && offset + 1 >= firstByte && offset <= firstByte + bytes - 1
}

/** Whether the point belongs to the source's own history, under its present name or the one before. */
export function isShared({ replid, replid2, secondOffset }: Memory, point: ReplicationPoint): boolean {
  return point.replid === replid || (point.replid === replid2 && point.offset + 1 <= secondOffset)
}
