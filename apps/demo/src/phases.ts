/** The phases of the estate, one after the other: what a platform engineer would type, and what is seen of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { flip } from './flip.ts'
import { megabytes, thousands } from './narrator.ts'
import { assess, becomeLevel, compare, isLevel, type Play, rehearse } from './play.ts'
import { waves } from './script.ts'

/** Ledger and sessions go over, come back with everything written since, and go over again. */
export async function rehost(play: Play): Promise<void> {
  const { narrator, options } = play
  const { moves } = waves.rehost
  narrator.stop('rehost', 'load')
  await Promise.all(moves.map((store) => assess(play, store)))
  await load(play, moves)
  if (!options.isBrief) await lookAhead(play)
  for (const { stop, verb, name } of options.isBrief ? flips.slice(0, 1) : flips) {
    narrator.stop('rehost', stop)
    await becomeLevel(play, moves)
    await flip(play, { phase: 'rehost', verb, name })
    await sleep(options.betweenMs)
  }
}

const flips = [
  { stop: 'cutover', verb: 'cutover', name: 'cutover' },
  { stop: 'rollback', verb: 'rollback', name: 'rollback' },
  { stop: 'again', verb: 'cutover', name: 'second cutover' },
] as const

/** All that can be known before the cutover. */
async function lookAhead(play: Play): Promise<void> {
  const { narrator } = play
  const { name, moves } = waves.rehost
  narrator.stop('rehost', 'compare')
  await Promise.all(moves.map((store) => compare(play, store)))
  narrator.stop('rehost', 'rehearse')
  // A rehearsal stops following for a moment, and what is followed then counts anew.
  await becomeLevel(play, moves)
  await rehearse(play, name)
}

async function load(play: Play, stores: readonly string[]): Promise<void> {
  const { replatform, narrator, moved } = play
  await Promise.all(stores.map((store) => replatform.run('start', store, '--until', 'in-sync')))
  const moves = await replatform.until(stores, isLevel)
  const groups = moves.flatMap((move) => move.load?.groups ?? [])
  const rows = groups.reduce((sum, group) => sum + group.loaded.rows, 0)
  const bytes = groups.reduce((sum, group) => sum + group.loaded.bytes, 0)
  moved.rows += rows
  moved.bytes += bytes
  const lagMs = Math.max(...moves.map(({ follow }) => follow?.lagMs ?? 0))
  narrator.say(`in sync: ${thousands(rows)} rows and keys loaded, ${megabytes(bytes)}, lag ${lagMs} ms`)
}

/** The queues become topics: consumers cross while messages flow, the relay after the cutover. */
export async function replatform(play: Play): Promise<void> {
  const { narrator, stage, options } = play
  const { name, moves } = waves.replatform
  const { events } = stage
  if (!events) throw new Error('There are no events on this stage.')
  narrator.stop('replatform', 'bridge')
  for (const store of moves) await assess(play, store)
  for (const store of moves) await play.replatform.run('start', store, '--until', 'in-sync')
  narrator.stop('replatform', 'consumers')
  await events.moveConsumers()
  narrator.say('notification, settlement, risk and search take from topics now; the relay still publishes to RabbitMQ')
  await sleep(options.betweenMs)
  await becomeLevel(play, moves)
  narrator.stop('replatform', 'rehearse')
  for (const store of moves) await compare(play, store)
  await rehearse(play, name)
  narrator.stop('replatform', 'cutover')
  await becomeLevel(play, moves)
  await flip(play, { phase: 'replatform', verb: 'cutover', name: 'queues to topics' })
  await events.moveRelay()
  narrator.say('the relay publishes to topics; what the outbox kept meanwhile has left in its order')
  await sleep(options.betweenMs)
}

/** After it nothing is left of the moves but the fences of the old sides. */
export async function finalize(play: Play): Promise<void> {
  const { narrator, replatform: cli, options } = play
  narrator.stop('proof', 'finalize')
  await becomeLevel(play, waves.rehost.moves)
  await Promise.all(waves.rehost.moves.map((store) => compare(play, store)))
  await Promise.all(options.phases.map((phase) => cli.run('finalize', '--wave', waves[phase].name)))
  narrator.say('finalized: nothing of the moves is left but the fences of the old sides')
}
