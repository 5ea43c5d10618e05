/**
 * Applies what one shard of the source has written on the parts of the target that hold its slots. Each part gets its
 * share of a batch whole, together with its checkpoint; parts advance side by side, so that for a moment one shows more
 * of a transaction than another. What takes a value from one part to another waits until all before it is applied, and
 * puts before it takes: a mover that dies in between goes on at the second half.
 */
import type { BatchSink } from './batch-sink.ts'
import type { KeyRecorder } from './changed-keys.ts'
import { isControlKey } from './control-keys.ts'
import { putCommands, takeCommand } from './cross-slot.ts'
import { emptyPart } from './empty-part.ts'
import { batchBytes } from './follower.ts'
import { keySlot } from './key-slot.ts'
import { changeLibraries } from './library.ts'
import { isBehind, type PartPlace, type PartWriter } from './part-writer.ts'
import type { ScriptBuffer } from './script-buffer.ts'
import { type SlotLayout, slotsMoved } from './slot-layout.ts'
import { type Across, routeCommand, type SlotPiece, type SlotStep } from './slot-routing.ts'
import type { StreamUnit } from './stream-units.ts'

export interface SlotSinkOptions {
  readonly layout: SlotLayout
  /** The shard of the source. */
  readonly source: number
  /** Of the parts that hold keys of the shard, with what each has reached. */
  readonly parts: ReadonlyMap<number, { readonly writer: PartWriter; readonly place: PartPlace }>
  /** Of the history that is followed. */
  readonly replid: string
  /** Behind the last command that wrote. */
  readonly written: number
  readonly changed: KeyRecorder
  readonly clockOffsetMs: number
}

interface OpenPart {
  readonly writer: PartWriter
  readonly buffer: ScriptBuffer
  place: PartPlace
}

export class SlotSink implements BatchSink {
  readonly mostAtOnce = 1
  readonly #options: SlotSinkOptions
  readonly #parts: ReadonlyMap<number, OpenPart>
  /** Offset behind the last unit that is applied, or is in the buffers. */
  #at: number
  #written: number

  constructor(options: SlotSinkOptions) {
    this.#options = options
    const open = [...options.parts].map(([part, { writer, place }]) => {
      return [part, { writer, place, buffer: writer.createBuffer((2 * batchBytes) / options.parts.size) }] as const
    })
    this.#parts = new Map(open)
    this.#written = options.written
    this.#at = Math.min(...open.map(([, { place }]) => place.offset))
  }

  async apply(units: readonly StreamUnit[]): Promise<number> {
    let rows = 0
    for (const unit of units) {
      const before = rows
      const nowMs = unit.receivedAtMs + this.#options.clockOffsetMs
      for (const [index, command] of unit.commands.entries()) {
        const step = this.#route(command.args, nowMs)
        if (step.kind === 'none') continue
        rows += 1
        if (step.kind === 'pieces') this.#add(step.pieces, index)
        else await this.#alone(step, index)
      }
      this.#at = unit.end
      if (rows > before) this.#written = unit.end
    }
    await this.#commit({ offset: this.#at, step: 0 })
    return rows
  }

  /** A key of another shard's slots says that slots moved on the source: their order with this stream is lost. */
  #route(command: readonly Buffer[], nowMs: number): SlotStep {
    const { layout, source, changed } = this.#options
    if (String(command[0]).toLowerCase() === 'restore-asking') {
      throw slotsMoved('Slots are being moved from one server of the source to another.')
    }
    const step = routeCommand(command, nowMs)
    if (step.kind === 'flush') changed.giveUp()
    if (step.kind !== 'pieces' && step.kind !== 'across') return step
    if (step.keys.every((key) => isControlKey(0, key))) return { kind: 'none' }
    for (const key of step.keys) {
      if (!layout.sources[source]?.slots.has(keySlot(key))) {
        throw slotsMoved('A server of the source has written to slots that were another’s when the load began.')
      }
      changed.add(0, key)
    }
    return step
  }

  #add(pieces: readonly SlotPiece[], index: number): void {
    for (const { slot, args } of pieces) {
      const part = this.#partOfSlot(slot)
      if (!this.#has(part, index)) part.buffer.add(args)
    }
  }

  /** Whether the part has that command of the present unit from an earlier run. */
  #has({ place }: OpenPart, index: number): boolean {
    return isBehind({ offset: this.#at, step: index }, place)
  }

  /** One command for itself, when all before it is applied everywhere. */
  async #alone(step: Exclude<SlotStep, { kind: 'none' | 'pieces' }>, index: number): Promise<void> {
    await this.#commit({ offset: this.#at, step: index })
    const behind = { offset: this.#at, step: index + 1 }
    const open = [...this.#parts.values()].filter((part) => !this.#has(part, index))
    if (step.kind === 'library') await Promise.all(open.map(({ writer }) => changeLibraries(writer.target, step.args)))
    if (step.kind === 'flush') {
      const slots = this.#options.layout.sources[this.#options.source]?.slots
      if (slots) await Promise.all(open.map(({ writer }) => emptyPart(writer, slots)))
    }
    if (step.kind === 'across') await this.#carry(step.across, index, behind)
    await this.#commit(behind)
  }

  /** Puts, and only then takes. */
  async #carry(across: Across, index: number, behind: PartPlace): Promise<void> {
    const partOf = (key: Buffer) => this.#partOfSlot(keySlot(key))
    const to = partOf(across.to)
    if (!this.#has(to, index)) {
      for (const args of await putCommands(across, (key) => partOf(key).writer.target)) to.buffer.add(args)
    }
    const take = takeCommand(across)
    if (!take) return
    const from = partOf(take.key)
    if (from !== to) await this.#commit(behind, [to])
    if (!this.#has(from, index)) from.buffer.add(take.args)
  }

  #partOfSlot(slot: number): OpenPart {
    const part = this.#parts.get(this.#options.layout.partOfSlot(slot))
    if (!part) throw slotsMoved('A key belongs to a part of the target that this stream does not write to.')
    return part
  }

  async #commit(to: PartPlace, parts: Iterable<OpenPart> = this.#parts.values()): Promise<void> {
    const { replid } = this.#options
    const outcomes = await Promise.allSettled(
      [...parts].map(async (part) => {
        if (!isBehind(part.place, to)) return
        await part.writer.commitAt(part.buffer, { from: part.place, to, replid, written: this.#written })
        part.place = to
        part.buffer.clear()
      }),
    )
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed) throw failed.reason
  }
}
