/** The whole play: the estate is there, its phases go by under payments, judges decide. */
import type { Narrator } from './narrator.ts'
import { thousands } from './narrator.ts'
import { finalize, rehost, replatform } from './phases.ts'
import type { Play } from './play.ts'
import type { PlayOptions } from './play-options.ts'
import type { Recorder } from './recorder.ts'
import { Replatform } from './replatform.ts'
import { Stage } from './stage.ts'
import { type DemoVerdict, overall } from './verdict.ts'

export interface DemoParts {
  readonly options: PlayOptions
  readonly narrator: Narrator
  /** Is told all along what a report draws. */
  readonly recorder: Recorder
  /** Rejects when the demo shall end before its end. */
  readonly interrupted: Promise<never>
}

/** Resolves or rejects when nothing of it runs any more, except what was only starting when it was interrupted. */
export async function runDemo(parts: DemoParts): Promise<DemoVerdict> {
  await using opened = new AsyncDisposableStack()
  const playing = playAll(parts, opened)
  // It fails by itself when what it plays on is taken away.
  playing.catch(() => {})
  return await Promise.race([playing, parts.interrupted])
}

async function playAll({ options, narrator, recorder }: DemoParts, opened: AsyncDisposableStack): Promise<DemoVerdict> {
  const startedAt = performance.now()
  const withEvents = options.phases.includes('replatform')
  const [today, tomorrow] = withEvents ? [', events in RabbitMQ', ', ActiveMQ 5.18'] : ['', '']
  narrator.say(`ledger in PostgreSQL 13 behind PgBouncer, sessions in Redis 7 behind HAProxy${today}`)
  narrator.say(`their new places, empty: PostgreSQL 17 as RDS has it, Valkey 8 as ElastiCache has it${tomorrow}`)
  const stage = opened.use(await Stage.open(options))
  narrator.say(`the estate stands: a ledger with ${thousands(options.history)} past transfers`)
  const load = await stage.startPayments(options)
  load.onLine((line) => recorder.takePayments(line))
  narrator.say(`${options.rate} payments a second come through the gateway, from now until the judges decide`)
  const cli = opened.use(await Replatform.start({ folder: stage.folder, env: stage.env }))
  cli.onStatus(({ moves }) => recorder.takeMoves(moves))
  const play: Play = {
    options,
    stage,
    load,
    replatform: cli,
    narrator,
    recorder,
    flips: [],
    moved: { rows: 0, bytes: 0 },
  }
  await rehost(play)
  if (withEvents) await replatform(play)
  await finalize(play)
  narrator.stop('proof', 'verdict')
  return { ...(await judge(play)), seconds: (performance.now() - startedAt) / 1_000 }
}

/** Ends the payments first. */
async function judge({ stage, flips, moved }: Play): Promise<Omit<DemoVerdict, 'seconds'>> {
  const load = await stage.stopPayments()
  const judge = await stage.ledger.judge(stage.journal)
  const sessions = await stage.sessions.judge()
  const events = stage.events ? await stage.events.judge(stage.ledger.newUrl) : null
  const felt = flips.map((one) => one.felt)
  return {
    verdict: overall([judge, events, sessions]),
    payments: judge.payments,
    lost: judge.lost,
    doubled: judge.doubled,
    unknown: judge.unknown,
    writePauseMs: {
      p99: Math.max(...felt.map(({ p99LatencyMs }) => p99LatencyMs)),
      max: Math.max(...felt.map(({ longestGapMs }) => longestGapMs)),
    },
    cutovers: flips,
    rowsMoved: moved.rows,
    bytesMoved: moved.bytes,
    load,
    judge,
    sessions,
    events,
  }
}
