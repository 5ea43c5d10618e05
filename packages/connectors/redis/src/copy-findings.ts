/** What to know about a move whose source lets nobody replicate. */
import type { Finding } from '@replatform/core/finding'

/** `setting`: of notify-keyspace-events; null where the source does not say. */
export function copyFindings(setting: string | null): Finding[] {
  return [
    {
      id: 'redis.copied-by-key',
      severity: 'risk',
      title:
        'The source does not let the mover replicate: keys are copied one by one, and followed by keyspace notifications.',
      evidence: [
        'PSYNC or REPLCONF is refused',
        'transactions become visible key by key',
        'FLUSHALL, FLUSHDB, SWAPDB and what consumers read and acknowledge are not told, but found by passes over all keys',
        'the write pause holds a comparison of everything; its time is foretold by the last live one',
        'notifications take processor time on the source with every write',
      ],
      remedy: 'ACL SETUSER <mover> +psync +replconf, where the source allows it; else leave room in pauseBudget.',
    },
    ...(setting === null || setting === '' ? [silent(setting)] : []),
  ]
}

function silent(setting: string | null): Finding {
  return {
    id: 'redis.notifications-off',
    severity: setting === null ? 'risk' : 'note',
    title:
      setting === null
        ? 'The source does not say whether it tells of its keys; without, changes are found by passes only.'
        : 'Keyspace notifications are off on the source; the move switches them on, and off again in the end.',
    evidence: [`notify-keyspace-events ${setting === null ? 'is hidden' : '""'}`],
    remedy: setting === null ? 'Set notify-keyspace-events to EA in its parameter group.' : 'Nothing.',
  }
}
