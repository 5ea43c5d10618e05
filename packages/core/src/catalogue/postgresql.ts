import { type CatalogueEntry, nothingTouched, progressKept } from './entry.ts'

/** Moves of PostgreSQL. */
export const postgresql = {
  'postgresql.slot-missing': {
    retry: 'operator',
    meaning:
      'The replication slot of the move is gone or was invalidated: changes since the checkpoint may be lost to the stream.',
    untouched: 'The target stays as of its checkpoint and is never opened; the source is unchanged.',
    next: 'Find out who dropped it (or raise max_slot_wal_keep_size), then `replatform cancel` and start again with an empty target.',
  },
  'postgresql.spool-lost': {
    retry: 'operator',
    meaning:
      'Changes that the source has forgotten, because they stood in the spool of the move, are not there any more, or were damaged.',
    untouched: 'The target stays as of its checkpoint and is never opened; the source is unchanged.',
    next: 'Put the folder back where the estate names it and `replatform resume`; otherwise cancel the move and start again with an empty target, which loads everything anew.',
  },
  'postgresql.schema-changed': {
    retry: 'operator',
    meaning: 'The schema of the source changed while changes were followed, and the change was not carried over.',
    untouched: 'The target stays as of the last commit before the change; the source is unchanged.',
    next: 'Set `schemaChanges: carry` for the store and `replatform resume`; what cannot be carried takes a new start with an empty target.',
  },
  'postgresql.filter-matches-nothing': {
    retry: 'operator',
    meaning: "A pattern of the store's `tables` fits no table of the source, or all patterns together leave none.",
    untouched: nothingTouched,
    next: 'Correct the pattern in the estate file; names are matched as they are written, capitals included.',
  },
  'postgresql.filter-splits': {
    retry: 'operator',
    meaning:
      'A table that moves cannot exist without one that stays: it is a partition of it, or made of its row type.',
    untouched: nothingTouched,
    next: 'Let both move, or both stay: change `tables` of the store in the estate file.',
  },
  'postgresql.replica-unusable': {
    retry: 'operator',
    meaning: 'The replica that comparisons are to read is no standby of the source any more, or holds no position.',
    untouched: 'Nothing was compared; the move goes on following.',
    next: 'Name a standby of the source under `replica`, or leave it out to read the source itself, then compare again.',
  },
  'postgresql.replica-lagging': {
    retry: 'operator',
    meaning: 'The replica that comparisons are to read did not come level with the source in time.',
    untouched: 'Nothing was compared; the move goes on following.',
    next: 'See on the replica why it lags (pg_stat_wal_receiver, long queries), then compare again.',
  },
  'postgresql.replica-conflict': {
    retry: 'operator',
    meaning: 'The replica ended the comparison to go on with its replay.',
    untouched: 'The move goes on following; what was found equal is kept.',
    next: 'Set hot_standby_feedback = on there, or raise max_standby_streaming_delay, then compare again: it goes on.',
  },
  'postgresql.timeline-changed': {
    retry: 'operator',
    meaning: 'The source is not the server that the slot was made on: it was restored or failed over.',
    untouched: progressKept,
    next: 'Point the estate back to the original server, or cancel and start again.',
  },
  'postgresql.source-standby': {
    retry: 'operator',
    meaning: 'The address of the source leads to a standby, or to a server that still recovers.',
    untouched: progressKept,
    next: 'Point the address to the primary, then `replatform resume`; a promoted standby takes a new move.',
  },
  'postgresql.slot-taken': {
    retry: 'operator',
    meaning: 'The slot that the move would make exists on the server already, for another database.',
    untouched: nothingTouched,
    next: 'Give the store another name in the estate file: slots belong to the whole server.',
  },
  'postgresql.target-went-back': {
    retry: 'terminal',
    meaning: 'The target is older than what the source was told that it holds: it was restored, or lost commits.',
    untouched: 'Nothing is applied any more; the source is unchanged, the target stays fenced.',
    next: 'Cancel the move and start again with an empty target; keep synchronous_commit on there.',
  },
  'postgresql.unidentifiable-row': {
    retry: 'operator',
    meaning: 'A change arrived whose row cannot be identified on the target.',
    untouched: progressKept,
    next: 'Give the table a primary key or REPLICA IDENTITY FULL, then cancel and start again.',
  },
  'postgresql.apply-diverged': {
    retry: 'terminal',
    meaning: 'A change did not meet exactly the one row that it must meet on the target: something else wrote there.',
    untouched: 'The transaction was rolled back: the target stays as of its checkpoint and is never opened.',
    next: 'Find who writes to the target (`replatform compare` names the rows), then cancel and start again.',
  },
  'postgresql.snapshot-lost': {
    retry: 'retry',
    meaning: 'The snapshot of the full load is gone, because the source or the process that kept it ended.',
    untouched: progressKept,
    next: 'Nothing: finished tables stay, unfinished ones are loaded again at a new snapshot.',
  },
} as const satisfies Record<string, CatalogueEntry>
