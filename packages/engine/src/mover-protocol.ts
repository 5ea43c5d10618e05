/**
 * What a worker and the mover process that it started say to each other: requests with an id down, answers and
 * events up, as JSON over the IPC channel of the child process. No secret crosses it: the child resolves references.
 */
import type {
  Barrier,
  CompareOptions,
  Decision,
  FollowProgress,
  LoadGroup,
  Remaining,
} from '@replatform/core/connector'
import type { CompareReport } from '@replatform/core/difference'
import type { SerializedError } from '@replatform/core/errors'
import type { EstateStore } from '@replatform/core/estate'
import type { Finding } from '@replatform/core/finding'
import type { Direction, MoveState, Side } from '@replatform/core/move'
import type { Limits } from './strain-watch.ts'

export interface MoveSpec {
  readonly name: string
  readonly store: EstateStore
  readonly tools: Readonly<Record<string, string>>
}

/** Each verb with its parameters and its answer. */
export interface MoverVerbs {
  open: { params: { spec: MoveSpec }; result: null }
  assess: { params: { direction: Direction }; result: Finding[] }
  /** Prepares, loads and follows from `state` on; answers when it was stopped. Emits `state` and progress events. */
  run: { params: { direction: Direction; state: MoveState }; result: null }
  /** Ends `run` at the next durable point, and answers when it has ended. */
  stop: { params: Record<string, never>; result: null }
  /** Takes the place of what was allowed before; may be called at any time. */
  throttle: { params: Limits; result: null }
  prepareFlow: { params: { direction: Direction }; result: null }
  raiseEpoch: { params: { direction: Direction }; result: null }
  fence: { params: { direction: Direction; side: Side; withinMs: number; turn: number }; result: null }
  unfence: { params: { direction: Direction; side: Side; turn: number }; result: null }
  barrier: { params: { direction: Direction }; result: Barrier }
  remaining: { params: { direction: Direction; barrier: Barrier }; result: Remaining }
  compare: { params: { direction: Direction } & Pick<CompareOptions, 'scope' | 'at'>; result: CompareReport }
  settleAhead: { params: { direction: Direction; pauseMs: number }; result: null }
  settle: { params: { direction: Direction }; result: null }
  markStart: { params: { direction: Direction }; result: null }
  recordDecision: { params: { direction: Direction; decision: Decision }; result: null }
  cleanUp: { params: { direction: Direction; scope: 'stream' | 'everything' }; result: null }
}
export type MoverVerb = keyof MoverVerbs

export interface GroupProgress extends LoadGroup {
  /** Loaded so far, earlier runs included. */
  readonly loaded: { readonly chunks: number; readonly rows: number; readonly bytes: number }
}

export type MoverEvent =
  | { readonly event: 'state'; readonly state: MoveState }
  | { readonly event: 'load'; readonly groups: readonly GroupProgress[] }
  | { readonly event: 'step'; readonly step: string }
  | { readonly event: 'follow'; readonly progress: FollowProgress }
  | { readonly event: 'compare'; readonly name: string; readonly processed: number; readonly total: number }
  /** Why the run stands still although it could go on; null when it goes on. */
  | { readonly event: 'held'; readonly by: string | null }
  | { readonly event: 'memory'; readonly rssBytes: number }

export interface MoverRequest {
  readonly id: number
  readonly verb: MoverVerb
  readonly params: unknown
}

export type MoverAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: SerializedError }

/** Both ends of the channel: a child process and `process` itself both fit. */
export interface Channel {
  send(message: MoverRequest | MoverAnswer | MoverEvent): void
  onMessage(handler: (message: unknown) => void): void
  onClose(handler: () => void): void
}
