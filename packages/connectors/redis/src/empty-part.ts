/** Deletes what lies in some slots of a part of the target, our own keys excepted. */
import { isControlKey } from './control-keys.ts'
import { scanKeys } from './key-look.ts'
import { keySlot, type SlotSet } from './key-slot.ts'
import type { PartWriter } from './part-writer.ts'

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
