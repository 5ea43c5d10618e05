/**
 * Brings back what a target has let lapse while its deadlines were lowered: after a cutover that was aborted, and after
 * a rollback. A key that the source has renewed meanwhile is gone there, and the renewal, when it arrives, finds
 * nothing.
 */
import { CommandBuffer } from './command-buffer.ts'
import { compareAllKeys } from './compare.ts'
import { openConnection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import { lifted } from './deadline.ts'
import { EpochWriter } from './epoch-writer.ts'
import type { Follower } from './follower.ts'
import { addCopy } from './key-copier.ts'
import { ServerReader } from './key-reader.ts'
import { readRdbVersion } from './rdb-version.ts'
import { readServer } from './server-info.ts'

export interface LapsedKeysOptions {
  readonly sourceUrl: string
  readonly targetUrl: string
  readonly keys: ControlKeys
  readonly epoch: number
  /** Runs meanwhile. */
  readonly follower: Follower
  readonly signal: AbortSignal
}

/** Resolves with how many keys were brought back; then the checkpoint no longer asks for it. */
export async function bringBackLapsed(options: LapsedKeysOptions): Promise<number> {
  const { keys, epoch, follower, signal } = options
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await openConnection({ url: options.sourceUrl, side: 'source' }))
  const target = stack.use(await openConnection({ url: options.targetUrl, side: 'target' }))
  const writing = await openConnection({ url: options.targetUrl, side: 'target' })
  const writer = stack.use(new EpochWriter({ target: writing, keys, epoch }))
  const targetRdbVersion = await readRdbVersion(target, keys.epoch)
  const buffer = new CommandBuffer()
  const results = await compareAllKeys({
    source: new ServerReader(source, (await readServer(source)).major),
    target: new ServerReader(target, (await readServer(target)).major),
    follower,
    signal,
    report: undefined,
    repair: async (db, key, ours) => {
      // A key too many did not come from a deadline: comparisons go on telling it.
      if (ours.payload === null) return false
      buffer.clear()
      buffer.add(['SELECT', db])
      addCopy(buffer, key, ours, { targetRdbVersion, deadline: lifted })
      await writer.commit(buffer)
      return true
    },
  })
  await target.command('SELECT', 0)
  await target.command('HDEL', keys.checkpoint, 'lapsed')
  return results.reduce((sum, { repaired = 0 }) => sum + repaired, 0)
}
