/** The markers of one queue: those that earlier movers left, and ours until the source cannot bring their messages again. */
import type { Connection } from 'rhea'
import { type HeldEntry, HeldLog } from './held-log.ts'
import { decodeMarker, KnownMessages } from './message-marker.ts'

export interface MarkerLimits {
  /** How long after the acknowledgement: the source has it on its disk long before, and restarts in less. */
  readonly keptMs: number
  /** Beyond, the oldest go early: memory and the broker's store stay small. */
  readonly digestsMost: number
}

const usualLimits: MarkerLimits = { keptMs: 60_000, digestsMost: 30_000 }

interface Kept {
  readonly entry: HeldEntry
  readonly digests: number
  /** The last delivery tag of its transaction; 0 for markers of earlier movers. */
  readonly lastTag: number
  acknowledgedAt: number | undefined
}

export class MarkerLog {
  readonly known = new KnownMessages()
  readonly #limits: MarkerLimits
  #log: HeldLog | undefined
  readonly #kept: Kept[] = []
  /** Transactions whose marker has not come back to us yet, by the first digest of it: the last tag of all such. */
  readonly #committed = new Map<string, { readonly lastTag: number; readonly markers: number }>()
  #digests = 0
  #acknowledgedTag = 0

  private constructor(limits: MarkerLimits) {
    this.#limits = limits
  }

  static async open(connection: Connection, queue: string, limits = usualLimits): Promise<MarkerLog> {
    const markers = new MarkerLog(limits)
    const { log, entries } = await HeldLog.open(connection, queue, (entry) => markers.#came(entry))
    markers.#log = log
    for (const entry of entries) {
      markers.known.add(decodeMarker(entry.body))
      markers.#keep(entry, 0)
    }
    return markers
  }

  /** Call before the commit: the broker sends the marker at once. */
  willCommit(digests: readonly string[], lastTag: number): void {
    const [first = ''] = digests
    const { markers } = this.#committed.get(first) ?? { markers: 0 }
    this.#committed.set(first, { lastTag, markers: markers + 1 })
  }

  /** The source was told to forget everything up to this tag. */
  acknowledged(tag: number): void {
    this.#acknowledgedTag = Math.max(this.#acknowledgedTag, tag)
    this.#removeOld()
  }

  close(): void {
    this.#log?.close()
  }

  #came(entry: HeldEntry): void {
    this.#keep(entry, this.#tagOf(entry))
    this.#removeOld()
  }

  #tagOf({ body }: HeldEntry): number {
    const [first = ''] = decodeMarker(body)
    const { lastTag, markers } = this.#committed.get(first) ?? { lastTag: 0, markers: 0 }
    if (markers > 1) this.#committed.set(first, { lastTag, markers: markers - 1 })
    else this.#committed.delete(first)
    return lastTag
  }

  #keep(entry: HeldEntry, lastTag: number): void {
    const digests = decodeMarker(entry.body).length
    this.#digests += digests
    this.#kept.push({ entry, digests, lastTag, acknowledgedAt: undefined })
  }

  #removeOld(): void {
    const now = performance.now()
    const { keptMs, digestsMost } = this.#limits
    for (const kept of this.#kept) {
      if (kept.acknowledgedAt !== undefined) continue
      if (kept.lastTag > this.#acknowledgedTag) break
      kept.acknowledgedAt = now
    }
    for (let oldest = this.#kept[0]; oldest; oldest = this.#kept[0]) {
      if (oldest.acknowledgedAt === undefined) return
      if (now - oldest.acknowledgedAt < keptMs && this.#digests <= digestsMost) return
      oldest.entry.remove()
      this.#digests -= oldest.digests
      this.#kept.shift()
    }
  }
}
