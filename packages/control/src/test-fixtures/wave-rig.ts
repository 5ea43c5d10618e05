import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { Estate } from '@replatform/core/estate'
import { expect } from 'vitest'
import type { Operation, OperationRequest, WaveStatus, WaveVerb } from '../api-types.ts'
import { ControlRig, until } from './control-rig.ts'
import { FileStore } from './file-store.ts'
import type { FileWorkerOptions } from './file-worker.ts'

export const moves = ['ledger', 'merchants'] as const
export const relational: NonNullable<Estate['waves']>[number] = {
  name: 'relational',
  phase: 'rehost',
  moves: [...moves],
  pauseBudget: '10s',
}

/** Two moves in one wave, with a gateway in front, and a worker that hosts them. */
export class WaveRig implements AsyncDisposable {
  readonly control: ControlRig
  readonly gateway: FileStore
  readonly #more: Partial<FileWorkerOptions>
  worker!: ChildProcess

  static async inSync(more: Partial<FileWorkerOptions> = {}): Promise<WaveRig> {
    const rig = new WaveRig(await ControlRig.create(), more)
    for (const move of moves) rig.store(move).setRows('old', 3)
    await rig.fork()
    for (const move of rig.moves) await rig.control.perform('start', move)
    await rig.reach('in-sync')
    return rig
  }

  private constructor(control: ControlRig, more: Partial<FileWorkerOptions>) {
    this.control = control
    this.gateway = new FileStore(join(control.folder, 'gateway'))
    this.#more = more
  }

  get moves(): readonly string[] {
    return [...moves, ...(this.#more.trailing ?? [])]
  }

  store(move: string): FileStore {
    return this.control.store(move)
  }

  async fork(): Promise<void> {
    const wave = { ...relational, moves: [...this.moves] }
    const gateways = { relational: this.gateway.folder }
    const options = this.control.options(this.moves)
    this.worker = await this.control.fork({ ...options, waves: [wave], gateways, ...this.#more })
  }

  async ask(verb: WaveVerb, request: Partial<OperationRequest> = {}): Promise<Operation> {
    return this.control.client.askWave(verb, 'relational', { actor: 'test@rig', ...request })
  }

  async perform(verb: WaveVerb, request: Partial<OperationRequest> = {}): Promise<Operation> {
    return this.control.ended((await this.ask(verb, request)).id)
  }

  async wave(): Promise<WaveStatus> {
    const [wave] = (await this.control.client.status()).waves
    if (!wave) throw new Error('The estate declares no wave.')
    return wave
  }

  async reach(state: 'in-sync' | 'reversing' | 'rolled-back' | 'finalized'): Promise<void> {
    for (const move of moves) expect(await this.control.reaches(state, move)).toMatchObject({ paused: null })
  }

  /** Of every store, and of the gateway, the same side; and what is written there arrives on the other. */
  async expectOpen(open: 'old' | 'new'): Promise<void> {
    const other = open === 'old' ? 'new' : 'old'
    expect([this.gateway.route, this.gateway.isHeld]).toEqual([open, false])
    for (const store of moves.map((move) => this.store(move))) {
      expect([store.route, store.isHeld]).toEqual([open, false])
      expect([store.insert(open), store.insert(other)]).toEqual([true, false])
      await until('both sides are level', () => store.rows('old') === store.rows('new'))
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.control[Symbol.asyncDispose]()
  }
}
