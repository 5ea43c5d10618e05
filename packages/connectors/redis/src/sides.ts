/** Both sides of a flow, and what a mover does on a side whatever the way its data goes. */
import type { Decision, OpenOptions } from '@replatform/core/connector'
import type { FenceLimits } from '@replatform/core/fence-order'
import type { Side } from '@replatform/core/move'
import type { Connection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import { fenceSide, forgetTurns, hasUsers, requireFenced, unfenceSide } from './fence.ts'
import { eachReplica } from './sentinel.ts'
import { SideConnection } from './side-connection.ts'

export class Sides implements AsyncDisposable {
  readonly source: SideConnection
  readonly target: SideConnection
  readonly #open: OpenOptions

  constructor(open: OpenOptions) {
    this.#open = open
    this.source = new SideConnection({ url: open.source.url, side: 'source' })
    this.target = new SideConnection({ url: open.target.url, side: 'target' })
  }

  both<T>(work: (source: Connection, target: Connection) => Promise<T>): Promise<T> {
    return this.source.use((source) => this.target.use((target) => work(source, target)))
  }

  fence(side: Side, limits: FenceLimits): Promise<void> {
    return this[side].use(async (connection) => {
      // Replicas first: one that takes over meanwhile is closed already.
      await eachReplica(this.#open[side].url, side, (replica) => this.fenceOn(replica, limits))
      await this.fenceOn(connection, limits)
    })
  }

  /** ElastiCache lets nobody but AWS change users: there it is the user group that must admit only the mover. */
  async fenceOn(connection: Connection, limits: FenceLimits): Promise<void> {
    const { move, log } = this.#open
    if (this.isManaged(connection.place.side)) {
      log.warn({ move }, 'ElastiCache is not fenced by its users: its user group must admit only the mover.')
    } else {
      await fenceSide({ connection, move, ...limits, log })
    }
  }

  async unfence(side: Side, { turn }: Pick<FenceLimits, 'turn'>): Promise<void> {
    if (this.isManaged(side)) return
    const { move, log } = this.#open
    const unfence = (connection: Connection) => unfenceSide({ connection, move, turn, log })
    await this[side].use(async (connection) => {
      await unfence(connection)
      await eachReplica(this.#open[side].url, side, unfence)
    })
  }

  /** Throws `redis.fence-lifted`. Says nothing about a managed side. */
  async requireFenced(side: Side): Promise<void> {
    if (!this.isManaged(side)) await this[side].use(requireFenced)
  }

  isManaged(side: Side): boolean {
    return this.#open[side].service === 'elasticache'
  }

  async recordDecision({ id, outcome, at }: Decision, { decisions }: ControlKeys): Promise<void> {
    await this.target.use(async (target) => {
      await target.command('SELECT', 0)
      await target.command('HSETNX', decisions, id, `${outcome} ${at}`)
    })
  }

  /** Removes what the flow left on either side. */
  async forget({ epoch, checkpoint, decisions, notifications }: ControlKeys): Promise<void> {
    for (const side of ['source', 'target'] as const) {
      await this[side].use(async (connection) => {
        // Before 6 a fenced side takes no write, and nothing was ever written there.
        if (!(await hasUsers(connection))) return
        await connection.command('SELECT', 0)
        await connection.command('DEL', epoch, checkpoint, decisions, notifications)
        if (this.isManaged(side)) return
        const { move, log } = this.#open
        await forgetTurns({ connection, move, log })
        await eachReplica(this.#open[side].url, side, (replica) => forgetTurns({ connection: replica, move, log }))
      })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source[Symbol.asyncDispose]()
    await this.target[Symbol.asyncDispose]()
  }
}
