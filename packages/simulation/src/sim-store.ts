import type { Decision } from '@replatform/core/connector'
import type { Direction } from '@replatform/core/move'
import type { Place } from '@replatform/core/routing'
import { SimServer } from './network.ts'

export interface Stream {
  readonly id: string
  /** How much of the log it leaves out. */
  readonly from: number
}

/** Orders what happens in a simulation; only compared, so that one count does for all. */
let moments = 0

/** One side of a store: a database that takes each row once, in an order that its log tells. */
export class SimSide {
  readonly server: SimServer
  readonly log: string[] = []
  readonly rows = new Set<string>()
  readonly streams = new Map<Direction, Stream>()
  /** How far a flow that writes here has come, committed with the rows. */
  readonly checkpoints = new Map<Direction, { readonly stream: string; readonly at: number }>()
  readonly epochs = new Map<Direction, string>()
  readonly decisions = new Map<string, Decision>()
  isFenced: boolean
  /** Of the newest order to its fence; see fence-order.ts. */
  rank: number | null = null
  /** What no change stream carries; must be level when the side opens. */
  sequence = 0

  constructor(name: string, isFenced: boolean) {
    this.server = new SimServer(name)
    this.isFenced = isFenced
  }

  fencedAt = 0
  raisedAt = 0

  raiseEpoch(direction: Direction, epoch: string): void {
    this.epochs.set(direction, epoch)
    this.raisedAt = ++moments
  }

  turn(isFenced: boolean): void {
    this.isFenced = isFenced
    if (isFenced) this.fencedAt = ++moments
  }

  carrySequence(value: number): void {
    this.sequence = value
  }

  add(row: string): void {
    this.rows.add(row)
    this.log.push(row)
  }
}

/** Where clients are sent. A hold lives in the pooler's memory, the place in its configuration. */
export interface SimPooler {
  readonly server: SimServer
  place: Place
  isHeld: boolean
  inFlight: number
  /** Its restart lost a hold: what is written meanwhile meets the fence. */
  hasLostHold: boolean
  readonly waiting: (() => void)[]
}

export class SimStore {
  readonly name: string
  readonly old: SimSide
  readonly new: SimSide
  readonly pooler: SimPooler
  /** Every row whose writer was told that it stands. */
  readonly acknowledged = new Set<string>()

  constructor(name: string) {
    this.name = name
    this.old = new SimSide(`${name}.old`, false)
    this.new = new SimSide(`${name}.new`, true)
    this.pooler = {
      server: new SimServer(`${name}.pooler`),
      place: 'old',
      isHeld: false,
      inFlight: 0,
      hasLostHold: false,
      waiting: [],
    }
  }

  side(place: Place): SimSide {
    return place === 'old' ? this.old : this.new
  }

  /** The sides that take writes. */
  open(): Place[] {
    return (['old', 'new'] as const).filter((place) => !this.side(place).isFenced)
  }
}
