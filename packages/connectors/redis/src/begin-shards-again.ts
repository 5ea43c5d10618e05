/** Begins a flow between clusters where its source stands now, without a load: both sides are fenced and equal. */
import { ReplatformError } from '@replatform/core/errors'
import { openConnection } from './connection.ts'
import { writeFirstCheckpoint } from './part-store.ts'
import { ReplicaLink } from './psync.ts'
import { historyOf, offsetOf, readServer } from './server-info.ts'
import type { SlotLayout } from './slot-layout.ts'
import { openWriter, type SlotStream } from './slot-load.ts'

/**
 * Records on each part of the target where each shard of the source stands, and opens the streams from there, so that
 * no backlog need last until somebody follows. The deadlines of the target are its own.
 */
export async function beginShardsAgain(layout: SlotLayout, epoch: number): Promise<SlotStream[]> {
  await using stack = new AsyncDisposableStack()
  const streams = await Promise.all(
    [...layout.sources.keys()].map(async (source) => {
      const link = stack.use(await openHere(layout.source(source).url))
      await Promise.all(
        layout.partsOf(source).map(async (part) => {
          await using writer = await openWriter(layout.part(part).url, layout.keysOf(part, source), epoch)
          await writeFirstCheckpoint(writer, link.start, { isLowered: true })
        }),
      )
      return { link, first: null }
    }),
  )
  stack.move()
  return streams
}

async function openHere(url: string): Promise<ReplicaLink> {
  await using source = await openConnection({ url, side: 'source' })
  const server = await readServer(source)
  const link = await ReplicaLink.open({ url, after: { replid: historyOf(server), offset: offsetOf(server.fields) } })
  if (!link.snapshot) return link
  await link[Symbol.asyncDispose]()
  throw new ReplatformError('redis.resync-required', { message: 'The source keeps no backlog to follow from.' })
}
