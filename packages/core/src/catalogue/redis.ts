import { type CatalogueEntry, nothingTouched, progressKept } from './entry.ts'

/** Moves of Redis and Valkey. */
export const redis = {
  'redis.protocol': {
    retry: 'operator',
    meaning: 'The server sent what is no RESP, or a value beyond what a mover holds in memory.',
    untouched: progressKept,
    next: 'Check that the address leads to Redis or Valkey and not to a proxy; a value above 512 MB cannot be followed.',
  },
  'redis.rdb-malformed': {
    retry: 'operator',
    meaning: 'The snapshot that the source sent cannot be read, or was cut off.',
    untouched: progressKept,
    next: 'Check the source with redis-check-rdb; where its version is newer than 7.2 (Valkey 8), no route leads from it yet.',
  },
  'redis.module-value': {
    retry: 'operator',
    meaning: 'The source holds values or data of a module, whose form only the module knows.',
    untouched: progressKept,
    next: 'Move such keys with the module’s own means, delete them, then cancel and start again.',
  },
  'redis.unsupported-encoding': {
    retry: 'operator',
    meaning: 'The source holds a value in an encoding that Replatform does not know.',
    untouched: progressKept,
    next: 'See which version the source runs: up to Redis 7.2 and Valkey 8 are known.',
  },
  'redis.value-too-large': {
    retry: 'operator',
    meaning:
      'A single value, or one argument of a command of the source, is larger than the target takes, or too large to be held in memory where it cannot be carried in parts.',
    untouched: progressKept,
    next: 'Trim or split the key (a stream or an argument above 512 MB, one element or packed list above 64 MB), then `replatform cancel` and start again: a load carries in pieces what a single command has written.',
  },
  'redis.unknown-command': {
    retry: 'operator',
    meaning: 'The source replicated a command that Replatform cannot apply with certainty.',
    untouched: progressKept,
    next: 'See docs/11-moving-redis.md for what is followed; where scripts are replicated by their text, let the source replicate their effects.',
  },
  'redis.apply-refused': {
    retry: 'terminal',
    meaning: 'The target refused a command that the source had carried out: both sides no longer agree.',
    untouched: 'The target is marked as broken and is never opened; the source is unchanged.',
    next: 'See the reason in the message (memory, a foreign writer, an older version), then cancel and start again with an empty target.',
  },
  'redis.resync-required': {
    retry: 'operator',
    meaning: 'The source no longer has the part of its replication stream that comes after the checkpoint.',
    untouched: 'The target stays as of its checkpoint and is never opened; the source is unchanged.',
    next: 'Raise repl-backlog-size on the source, then `replatform cancel` and start again with an empty target.',
  },
  'redis.replication-refused': {
    retry: 'operator',
    meaning: 'The source does not let the mover follow it as a replica.',
    untouched: nothingTouched,
    next: 'Allow the mover’s user +psync and +replconf (+@all ~* &*); managed services refuse it altogether.',
  },
  'redis.unknown-primary': {
    retry: 'operator',
    meaning: 'The sentinels of the address know no group of servers of that name.',
    untouched: nothingTouched,
    next: 'See `SENTINEL MASTERS` for the names that they know; the name is the last part of the address.',
  },
  'redis.moved': {
    retry: 'retry',
    meaning: 'A server that answered for a part of the keys no longer does: another one has taken over.',
    untouched: progressKept,
    next: 'Nothing: the move looks for the server that has taken over and goes on behind its checkpoint.',
  },
  'redis.slots-moved': {
    retry: 'operator',
    meaning: 'Slots of a cluster were moved from one server to another while the move was under way.',
    untouched:
      'Nothing of the batch in question counts as applied; the target is never opened, the source is unchanged.',
    next: 'Let the resharding end and forbid another one, then `replatform cancel` and start again with an empty target.',
  },
  'redis.slots-uncovered': {
    retry: 'operator',
    meaning: 'Slots of a cluster belong to no server, so that keys of theirs could neither be read nor written.',
    untouched: nothingTouched,
    next: 'Repair the cluster (`redis-cli --cluster check`, `--cluster fix`), then try again.',
  },
  'redis.target-went-back': {
    retry: 'retry',
    meaning: 'A server of the target holds an earlier state than it had: a replica took over that had not everything.',
    untouched: 'Nothing of the batch in question was applied; the checkpoint on the target says how far it is.',
    next: 'Nothing: the move goes on behind the checkpoint that stands there now.',
  },
  'redis.database-in-cluster': {
    retry: 'operator',
    meaning: 'The source writes to a database other than 0, and a cluster has no other.',
    untouched: progressKept,
    next: 'Let the applications use database 0 only, or name a target without cluster mode, then start again.',
  },
  'redis.shared-user': {
    retry: 'operator',
    meaning: 'Applications use the same user as the mover, so that a fence cannot tell them apart.',
    untouched: nothingTouched,
    next: 'ACL SETUSER replatform on >… ~* &* +@all, name it in the address, and leave the other user to the applications.',
  },
  'redis.fence-lifted': {
    retry: 'operator',
    meaning:
      'The fence that was put up around a side no longer stands: its users were changed, or it restarted without them.',
    untouched: 'The cutover was aborted: the source takes writes again and the target is never opened.',
    next: 'Keep the users in an ACL file or a configuration that the server may rewrite, then cut over again.',
  },
  'redis.no-way-back': {
    retry: 'operator',
    meaning: 'The old side is older than 6: what fences it stops the mover too, so nothing can be brought back to it.',
    untouched: nothingTouched,
    next: 'Finalize the move; see docs/11-moving-redis.md.',
  },
} as const satisfies Record<string, CatalogueEntry>
