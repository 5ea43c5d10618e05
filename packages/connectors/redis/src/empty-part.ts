/** Deletes what lies in some slots of a part of the target, our own keys excepted. */

import { openConnection } from './connection.ts'
import { isControlKey } from './control-keys.ts'
import { EpochWriter } from './epoch-writer.ts'
import { scanKeys } from './key-look.ts'
import { keySlot, type SlotSet } from './key-slot.ts'
import { PartWriter } from './part-writer.ts'
import type { SlotLayout } from './slot-layout.ts'

/** Not at one moment, but idempotent; nobody else may write. Rejects with `epoch.superseded`. */
export async function emptyPart(writer: PartWriter, slots: SlotSet): Promise<void> {
  const buffer = writer.createBuffer(64 * 1024)
  for await (const keys of scanKeys(writer.target, 0)) {
    buffer.clear()
    for (const key of keys) {
      if (!isControlKey(0, key) && slots.has(keySlot(key))) buffer.add(['UNLINK', key])
    }
    if (buffer.commands > 0) await writer.commit(buffer)
  }
}

/** All parts of what an earlier attempt left, first the mark that it was whole. Our other keys stay. */
export async function emptyTarget(layout: SlotLayout, epoch: number): Promise<void> {
  const { flowKeys } = layout
  for (const [part, { url, slots }] of layout.parts.entries()) {
    await using target = await openConnection({ url, side: 'target' })
    if (!layout.isSpread) {
      await emptyServer(new EpochWriter({ target, keys: flowKeys, epoch }), flowKeys.notifications)
      continue
    }
    const writer = new PartWriter({ target, keys: layout.keysOf(part), epoch })
    if (layout.urlOf(flowKeys.checkpoint) === url) await target.command('DEL', flowKeys.checkpoint)
    await emptyPart(writer, slots)
  }
}

/** What notifications were set to on the source before us is kept on the target, and nowhere else. */
async function emptyServer(writer: EpochWriter, memory: string): Promise<void> {
  const { target, keys, epoch } = writer.options
  const before = await target.command('GET', memory)
  const buffer = writer.createBuffer(1024)
  buffer.add(['FLUSHALL'])
  buffer.add(['SET', keys.epoch, epoch])
  if (Buffer.isBuffer(before)) buffer.add(['SET', memory, before])
  await writer.commit(buffer)
}
