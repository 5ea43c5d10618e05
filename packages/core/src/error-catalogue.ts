import type { Retry } from './errors.ts'

/** What a code means; `docs/errors.md` is generated from this table and a test holds them together. */
export interface CatalogueEntry {
  readonly retry: Retry
  /** What happened, in general. The error's own message says it in particular. */
  readonly meaning: string
  readonly untouched: string
  readonly next: string
}

const nothingTouched = 'Nothing was changed on either side.'
const progressKept = 'Everything that was committed on the target stays; the source is unchanged.'

export const catalogue = {
  'internal': {
    retry: 'operator',
    meaning: 'Something failed that the product has no name for yet.',
    untouched: progressKept,
    next: 'Run `replatform status`; resume the move if it is paused, and report the message with its cause.',
  },
  'internal.invariant': {
    retry: 'terminal',
    meaning: 'A condition that must always hold did not; the move stopped rather than go on wrong.',
    untouched: progressKept,
    next: 'Do not resume. Report the message; both sides are as they were at the last commit.',
  },
  'estate.not-found': {
    retry: 'operator',
    meaning: 'The estate file does not exist or cannot be read.',
    untouched: nothingTouched,
    next: 'Name the file with --estate, or create estate.yaml here.',
  },
  'estate.invalid': {
    retry: 'operator',
    meaning: 'The estate file does not follow its schema.',
    untouched: nothingTouched,
    next: 'Correct the lines that are named; editors check them with schema/estate.schema.json.',
  },
  'estate.unknown-move': {
    retry: 'operator',
    meaning: 'No store of that name stands in the estate file.',
    untouched: nothingTouched,
    next: 'Use one of the names that the message lists.',
  },
  'estate.unknown-wave': {
    retry: 'operator',
    meaning: 'No wave of that name stands in the estate file.',
    untouched: nothingTouched,
    next: 'Use one of the names that the message lists.',
  },
  'estate.no-route': {
    retry: 'operator',
    meaning: 'No route leads from that kind of source to that kind of target.',
    untouched: nothingTouched,
    next: 'See the table of routes in ARCHITECTURE.md.',
  },
  'landing-zone.missing': {
    retry: 'operator',
    meaning: 'The estate file does not describe an AWS side.',
    untouched: nothingTouched,
    next: 'Add landingZone to the estate file; docs/30-landing-zone.md has an example.',
  },
  'landing-zone.blocked': {
    retry: 'operator',
    meaning: 'What the estate file describes contradicts itself or AWS.',
    untouched: 'Nothing was written.',
    next: 'Resolve each blocker as its remedy says; `replatform infra check` lists them.',
  },
  'landing-zone.prices-invalid': {
    retry: 'operator',
    meaning: 'The file of prices cannot be read.',
    untouched: 'Nothing was written.',
    next: 'Correct the file; its form stands in docs/30-landing-zone.md.',
  },
  'landing-zone.config-invalid': {
    retry: 'operator',
    meaning: 'A configuration of an old balancer, firewall or proxy has an error of syntax, or cannot be read.',
    untouched: 'Nothing was written.',
    next: 'Correct the line that is named, or give the file as the program itself accepts it (haproxy -c, nginx -t).',
  },
  'landing-zone.output-refused': {
    retry: 'operator',
    meaning: 'The folder to write to holds something else, or cannot be written.',
    untouched: 'Nothing in it was changed.',
    next: 'Name an empty folder, or one that an earlier call wrote, with --out.',
  },
  'secret.unresolved': {
    retry: 'operator',
    meaning: 'A secret reference points to nothing.',
    untouched: nothingTouched,
    next: 'Set the environment variable or create the file that the reference names.',
  },
  'connection.refused': {
    retry: 'retry',
    meaning: 'The server does not answer at its address.',
    untouched: nothingTouched,
    next: 'Check host, port, firewall and that the server runs; a running move tries again by itself.',
  },
  'connection.lost': {
    retry: 'retry',
    meaning: 'A connection broke in the middle of work.',
    untouched: progressKept,
    next: 'Nothing: the move goes on from its checkpoint when the server answers again.',
  },
  'connection.timeout': {
    retry: 'retry',
    meaning: 'The server did not answer in time.',
    untouched: nothingTouched,
    next: 'Check the network path; a running move tries again by itself.',
  },
  'auth.failed': {
    retry: 'operator',
    meaning: 'The server refused the user or the password.',
    untouched: nothingTouched,
    next: 'Correct the secret that the estate file refers to, then run the command again.',
  },
  'auth.missing-rights': {
    retry: 'operator',
    meaning: 'The account lacks a right that the move needs.',
    untouched: nothingTouched,
    next: 'Grant what the message names, then run the command again.',
  },
  'database.missing': {
    retry: 'operator',
    meaning: 'The server has no database of that name.',
    untouched: nothingTouched,
    next: 'Create the database or correct the address in the estate file.',
  },
  'tls.failed': {
    retry: 'operator',
    meaning: 'The server offers no TLS, or its certificate could not be verified.',
    untouched: nothingTouched,
    next: 'Give the right authority with sslrootcert in the address; there is no fallback to plain text.',
  },
  'source.full': {
    retry: 'operator',
    meaning: 'The source has no room left, so that it cannot decode its log for the change stream.',
    untouched: progressKept,
    next: 'Give the source room (its log waits for the move, so do not remove it by hand), then `replatform resume`.',
  },
  'target.stalled': {
    retry: 'operator',
    meaning: 'The target works on one piece for so long that it does not get anywhere any more.',
    untouched: 'What was committed on the target stays; the piece was rolled back. The source keeps its log meanwhile.',
    next: 'Find what slows the target down (its locks, its disk, its credits), then `replatform resume`; watch the disk of the source.',
  },
  'target.full': {
    retry: 'operator',
    meaning: 'The target has no room left.',
    untouched: progressKept,
    next: 'Give the target more storage, then `replatform resume`.',
  },
  'target.not-empty': {
    retry: 'operator',
    meaning: 'The target already holds objects that this move did not create.',
    untouched: nothingTouched,
    next: 'Name an empty database, or empty this one yourself: Replatform never drops what it did not make.',
  },
  'tool.missing': {
    retry: 'operator',
    meaning: 'A program that the move calls is not on this machine, or is too old.',
    untouched: nothingTouched,
    next: 'Install it, or name it in the estate file under tools.',
  },
  'tool.failed': {
    retry: 'operator',
    meaning: 'A program that the move called ended with an error.',
    untouched: progressKept,
    next: 'Read its last lines in the message, correct the cause, then `replatform resume`.',
  },
  'access.denied': {
    retry: 'operator',
    meaning: 'The control API was asked without a token that it knows.',
    untouched: nothingTouched,
    next: 'Send `Authorization: Bearer` with a token that the estate file lists under `access`.',
  },
  'access.role': {
    retry: 'operator',
    meaning: 'The token is known, but none of its roles may do this.',
    untouched: nothingTouched,
    next: 'Ask somebody whose role allows it, or give the token the role under `access` in the estate file.',
  },
  'access.unusable': {
    retry: 'operator',
    meaning: 'The control API cannot be served beyond the local socket as it was asked for.',
    untouched: 'Nothing listens, and no worker was started.',
    next: 'Give --listen a host and port, --tls-cert and --tls-key readable files, and list tokens under `access`.',
  },
  'assessment.blocked': {
    retry: 'operator',
    meaning: 'The assessment found a blocker, so the move was not started.',
    untouched: nothingTouched,
    next: 'Follow the remedies that `replatform assess` prints, then start again.',
  },
  'mover.disk-full': {
    retry: 'operator',
    meaning: 'The machine that runs the mover has no room left for what it sets aside: large values, or its spool.',
    untouched: progressKept,
    next: 'Make room where the message says, or name another folder under `spool`, then `replatform resume`.',
  },
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
  'rabbitmq.unexpected-answer': {
    retry: 'operator',
    meaning: 'The management API answered something that RabbitMQ does not answer.',
    untouched: nothingTouched,
    next: 'Check that management in the address leads to the management plugin of that broker, not to a proxy or login page.',
  },
  'topology.invalid': {
    retry: 'operator',
    meaning: 'The plan of a topology was edited into something that cannot be applied.',
    untouched: nothingTouched,
    next: 'Correct what the message names; `replatform assess` shows what the plan then does.',
  },
  'topology.differs': {
    retry: 'operator',
    meaning: 'The target already has an object of that name with other properties, which cannot be altered.',
    untouched: nothingTouched,
    next: 'Delete it on the target, or bring the plan into line with it, then start again.',
  },
  'rabbitmq.left-behind': {
    retry: 'operator',
    meaning: 'Messages are left on the broker that is not in use; ending the move would forget them.',
    untouched: progressKept,
    next: 'Run the move until they have crossed (`replatform status`); for queues that nobody wants, empty them yourself.',
  },
  'rabbitmq.refused': {
    retry: 'operator',
    meaning: 'The broker refused what the move asked of it.',
    untouched: progressKept,
    next: 'Read its reason in the message, correct the plan or the broker, then `replatform resume`.',
  },
  'activemq.unexpected-answer': {
    retry: 'operator',
    meaning: 'Jolokia, the management API of ActiveMQ, answered something else than a result.',
    untouched: nothingTouched,
    next: 'Check that jolokia in the address of the store leads to /api/jolokia of that broker, not to a login page.',
  },
  'activemq.refused': {
    retry: 'operator',
    meaning: 'ActiveMQ refused what the move asked of it.',
    untouched: progressKept,
    next: 'Read its reason in the message, correct the plan or the broker, then `replatform resume`.',
  },
  'activemq.no-answer': {
    retry: 'retry',
    meaning: 'The connection to ActiveMQ stands, but one question of the move was not answered in time.',
    untouched: progressKept,
    next: 'Nothing: the move connects anew. If it comes back, look at the memory, the store and the log of the broker.',
  },
  'activemq.message-too-large': {
    retry: 'operator',
    meaning: 'A message is larger than a connector of ActiveMQ takes; it would end the connection.',
    untouched: 'The message stays on the source, and with it all that is behind it in the queue.',
    next: 'Take the message out of the source queue by hand, or give the queue `carry: never` in the plan.',
  },
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
  'epoch.superseded': {
    retry: 'terminal',
    meaning: 'Another process has taken over this move; this one may not write any more.',
    untouched: 'The write was refused: the target holds only what the newer process wrote.',
    next: 'Nothing here: look at the process that took over with `replatform status`.',
  },
  'fence.timeout': {
    retry: 'operator',
    meaning: 'A side could not be fenced in time, because transactions would not end.',
    untouched: 'The fence was taken off again; applications go on as before.',
    next: 'End the transactions that the message names, or raise pauseBudget, then cut over again.',
  },
  'fence.other-move': {
    retry: 'operator',
    meaning: 'The fence of another move stands on the database that must be fenced: a database has one at a time.',
    untouched: 'The fence that stands was left as it is.',
    next: 'Finalize or cancel the other move first, or let one move carry the tables of both.',
  },
  'fence.superseded': {
    retry: 'terminal',
    meaning: 'A side was to be fenced or opened for a cutover after a later one had been there.',
    untouched: 'The side stays as the later cutover left it.',
    next: 'Nothing where a later cutover has run. Otherwise look whether the clock of this machine is behind: turns grow with it.',
  },
  'fence.not-held': {
    retry: 'operator',
    meaning: 'Somebody got in on a side that was fenced.',
    untouched: 'The cutover was aborted: the source takes writes again.',
    next: 'Find out who gives out permissions there meanwhile, then cut over again.',
  },
  'fence.prepared-transaction': {
    retry: 'operator',
    meaning: 'A prepared transaction is open on the side that must be fenced.',
    untouched: 'The fence was taken off again; applications go on as before.',
    next: 'COMMIT PREPARED or ROLLBACK PREPARED it, then cut over again.',
  },
  'cutover.budget-exceeded': {
    retry: 'operator',
    meaning: 'The write pause reached its budget before the decision.',
    untouched: 'The cutover was aborted: the source takes writes again and the target is still fenced.',
    next: 'See which step took the time in `replatform status`, then cut over again or raise pauseBudget.',
  },
  'cutover.budget-too-small': {
    retry: 'operator',
    meaning: 'What must be compared inside the write pause takes longer than its budget, as measured just now.',
    untouched: 'The cutover or rollback ended before the pause: writes went on, and replication with them.',
    next: 'Raise rollbackBudget (for a rollback) or pauseBudget of the wave to more than the message says.',
  },
  'cutover.aborted': {
    retry: 'operator',
    meaning: 'The cutover failed before its decision and was aborted.',
    untouched: 'The source takes writes again, the target is still fenced, replication goes on.',
    next: 'Correct what the message names, then cut over again.',
  },
  'cutover.differences': {
    retry: 'operator',
    meaning: 'Source and target differ, so the cutover was not decided.',
    untouched: 'The source takes writes; the target is still fenced.',
    next: 'Read the differences with `replatform compare`; find out who wrote to the target.',
  },
  'cutover.not-ready': {
    retry: 'operator',
    meaning: 'The move is not in a state from which it can cut over, roll back or finalize.',
    untouched: nothingTouched,
    next: 'See `replatform status`: it names the state and the verb that comes next.',
  },
  'cutover.whole-wave': {
    retry: 'operator',
    meaning: 'The move cuts over, comes back and is finalized together with the others of its wave only.',
    untouched: nothingTouched,
    next: 'Ask for the whole wave with --wave, or take the move out of the wave in the estate file first.',
  },
  'gate.closed': {
    retry: 'operator',
    meaning: 'A gate of the wave does not hold, so it may not cut over.',
    untouched: nothingTouched,
    next: 'Do what the message names, then ask again; --override with a --reason goes past it and is audited.',
  },
  'gate.not-approver': {
    retry: 'operator',
    meaning: 'The estate file names somebody else as approver of the wave.',
    untouched: nothingTouched,
    next: 'Let the approver run `replatform approve`.',
  },
  'incident.unknown': {
    retry: 'operator',
    meaning: 'There is no open incident of that number.',
    untouched: nothingTouched,
    next: 'See `replatform incident` for those that are open.',
  },
  'routing.failed': {
    retry: 'operator',
    meaning: 'The switchover point (PgBouncer …) did not do what it was told.',
    untouched: 'Before the decision the cutover is aborted; after it, the step is tried again until it succeeds.',
    next: 'Check the admin address and rights of the switchover point.',
  },
  'state.newer-version': {
    retry: 'operator',
    meaning: 'The state directory was written by a newer Replatform.',
    untouched: 'The state directory was not opened.',
    next: 'Use that version or a later one, or name another directory with --state.',
  },
  'state.locked': {
    retry: 'operator',
    meaning: 'Another worker owns this state directory.',
    untouched: 'The other worker goes on undisturbed.',
    next: 'Use the running worker (commands attach to it by themselves), or stop it first.',
  },
  'state.waves-differ': {
    retry: 'operator',
    meaning: 'The waves of this estate file are not those that moves are in work by.',
    untouched: 'The moves go on as they were.',
    next: 'Give all workers the same estate file; change the waves of a move only between its cutovers.',
  },
  'state.unusable': {
    retry: 'operator',
    meaning: 'The state directory cannot be read or written.',
    untouched: nothingTouched,
    next: 'Check owner, rights and free space of the directory that the message names.',
  },
  'state.transition-refused': {
    retry: 'operator',
    meaning: 'The move cannot go from its state to the one that was asked for.',
    untouched: nothingTouched,
    next: 'See `replatform status` for the state and the verb that comes next.',
  },
  'control.unreachable': {
    retry: 'operator',
    meaning: 'The control database or the worker does not answer.',
    untouched: 'Moves that run elsewhere go on; this command did nothing.',
    next: 'Check REPLATFORM_CONTROL_URL, or that the worker still runs.',
  },
  'operation.unknown': {
    retry: 'operator',
    meaning: 'No operation of that id was asked for here.',
    untouched: nothingTouched,
    next: 'See `replatform status` for what runs.',
  },
  'operation.running': {
    retry: 'operator',
    meaning: 'Another operation on the same move has not ended yet.',
    untouched: 'The other operation goes on undisturbed.',
    next: 'Wait until it has ended (`replatform status`), then ask again.',
  },
  'operation.interrupted': {
    retry: 'operator',
    meaning: 'The move was paused or cancelled while the operation ran.',
    untouched: progressKept,
    next: 'Resume the move, then ask again.',
  },
  'mover.crashed': {
    retry: 'retry',
    meaning: 'The process that carries the data ended unexpectedly.',
    untouched: progressKept,
    next: 'Nothing: the worker starts it again and it goes on from its checkpoint.',
  },
  'usage': {
    retry: 'operator',
    meaning: 'The command line is not of the form that the verb takes.',
    untouched: nothingTouched,
    next: 'See --help of the verb.',
  },
} as const satisfies Record<string, CatalogueEntry>

export type ErrorCode = keyof typeof catalogue
