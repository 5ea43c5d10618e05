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
import { hasParts, largeEffect, nameOf, partsOf } from './large-effect.ts'
import { tooLarge } from './large-scan.ts'
import type { LargeStreamCommand, LargeUnit } from './large-unit.ts'
import { changeLibraries } from './library.ts'
import { isBehind, type PartPlace, type PartWriter } from './part-writer.ts'
import type { ScriptBuffer } from './script-buffer.ts'
import { type SlotLayout, slotsMoved } from './slot-layout.ts'
import { type Across, routeCommand, type SlotPiece, type SlotStep } from './slot-routing.ts'
import { mostArguments } from './split-command.ts'
import { StreamCommand } from './stream-command.ts'
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

interface LargeTotal {
  rows: number
  /** Of the steps that were taken. */
  step: number
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
    const [first] = units as [StreamUnit]
    if (first.large) return this.#applyLarge(first, first.large)
    for (const unit of units) {
      const before = rows
      const nowMs = unit.receivedAtMs + this.#options.clockOffsetMs
      for (const [index, command] of unit.commands.entries()) {
        if (await this.#applyOne(command.args, nowMs, index)) rows += 1
      }
      this.#at = unit.end
      if (rows > before) this.#written = unit.end
    }
    await this.#commit({ offset: this.#at, step: 0 })
    return rows
  }

  /** Whether it writes. */
  async #applyOne(command: readonly Buffer[], nowMs: number, index: number): Promise<boolean> {
    const step = this.#route(command, nowMs)
    if (step.kind === 'none') return false
    if (step.kind === 'pieces') this.#add(step.pieces, index)
    else await this.#alone(step, index)
    return true
  }

  /**
   * What is not held goes on in steps, each with its place, so that every one of them is carried out once; as between
   * parts of the target, a transaction shows by and by.
   */
  async #applyLarge(unit: StreamUnit, large: LargeUnit): Promise<number> {
    await using _ = large
    const nowMs = unit.receivedAtMs + this.#options.clockOffsetMs
    const total = { rows: 0, step: 0 }
    for await (const command of large.commands()) {
      if (command instanceof StreamCommand) {
        if (await this.#applyOne(command.args, nowMs, total.step)) total.rows += 1
        total.step += 1
        await this.#commitFull(total.step)
      } else {
        await this.#applyLargeCommand(command, nowMs, total)
      }
    }
    this.#at = unit.end
    if (total.rows > 0) this.#written = unit.end
    await this.#commit({ offset: this.#at, step: 0 })
    return total.rows
  }

  async #applyLargeCommand(command: LargeStreamCommand, nowMs: number, total: LargeTotal): Promise<void> {
    if (hasParts(command, { isRepeated: false })) {
      for await (const args of partsOf(command)) {
        await this.#applyOne(args, nowMs, total.step++)
        await this.#commitFull(total.step)
      }
      total.rows += 1
      return
    }
    const effect = largeEffect(command, nowMs)
    const index = total.step++
    if (effect.kind === 'none') return
    const { key } = effect
    if (key === null || effect.count > mostArguments) {
      throw tooLarge(`${effect.count} arguments (${nameOf(command).toUpperCase()}), which a script cannot pass on`)
    }
    if (isControlKey(0, key)) return
    this.#note(key)
    await this.#commit({ offset: this.#at, step: index })
    const part = this.#partOfSlot(keySlot(key))
    if (!this.#has(part, index)) {
      const to = { offset: this.#at, step: index + 1 }
      const { replid } = this.#options
      await part.writer.commitLargeAt(effect, { from: part.place, to, replid, written: this.#written })
      part.place = to
    }
    total.rows += 1
  }

  /** When one of them is full, all of them, so that they stay side by side. */
  async #commitFull(step: number): Promise<void> {
    const isFull = [...this.#parts.values()].some(({ buffer }) => buffer.length >= batchBytes)
    if (isFull) await this.#commit({ offset: this.#at, step })
  }

  /** A key of another shard's slots says that slots moved on the source: their order with this stream is lost. */
  #route(command: readonly Buffer[], nowMs: number): SlotStep {
    const { changed } = this.#options
    if (String(command[0]).toLowerCase() === 'restore-asking') {
      throw slotsMoved('Slots are being moved from one server of the source to another.')
    }
    const step = routeCommand(command, nowMs)
    if (step.kind === 'flush') changed.giveUp()
    if (step.kind !== 'pieces' && step.kind !== 'across') return step
    if (step.keys.every((key) => isControlKey(0, key))) return { kind: 'none' }
    for (const key of step.keys) this.#note(key)
    return step
  }

  #note(key: Buffer): void {
    const { layout, source, changed } = this.#options
    if (!layout.sources[source]?.slots.has(keySlot(key))) {
      throw slotsMoved('A server of the source has written to slots that were another’s when the load began.')
    }
    changed.add(0, key)
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
