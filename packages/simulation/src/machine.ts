import type { GuardChannel } from '@replatform/control/cutover-guard'
import { serveGuard } from '@replatform/control/guard-host'
import type { MoverLink } from '@replatform/control/mover-process'
import type { Log } from '@replatform/core/connector'
import { MoverClient } from '@replatform/engine/mover-client'
import { serveMover } from '@replatform/engine/mover-host'
import { Ipc } from './ipc.ts'
import { Network } from './network.ts'
import type { SimControl } from './sim-control.ts'
import { SimFiles } from './sim-files.ts'
import { openSimMover } from './sim-mover.ts'
import { never, type SimProcess } from './sim-process.ts'
import { openSimRouting } from './sim-routing.ts'
import type { SimStore } from './sim-store.ts'
import type { World } from './world.ts'

export const silent: Log = { info: () => {}, warn: () => {}, error: () => {} }

/** A computer with its disk and its processes. Movers end with the worker that started them, a guard does not. */
export class Machine {
  readonly world: World
  readonly network: Network
  readonly files: SimFiles
  readonly movers = new Set<SimProcess>()
  /** The guards that live, the newest last. */
  readonly guards = new Set<SimProcess>()
  readonly #name: string
  readonly #stores: ReadonlyMap<string, SimStore>
  readonly #processes = new Set<SimProcess>()
  readonly #locks = new Map<string, SimProcess>()
  #pids = 0

  /** `name` goes before those of its processes. */
  constructor(world: World, stores: readonly SimStore[], { name = '', network = new Network(world) } = {}) {
    this.world = world
    this.#name = name
    this.network = network
    this.files = new SimFiles(world)
    this.#stores = new Map(stores.map((store) => [store.name, store]))
  }

  start(kind: string): SimProcess {
    this.#pids += 1
    const process = this.world.process(`${this.#name}${kind} ${this.#pids}`)
    this.#processes.add(process)
    process.onExit(() => {
      this.#processes.delete(process)
      for (const [name, owner] of this.#locks) if (owner === process) this.#locks.delete(name)
      this.world.tell(process.name, 'has ended')
    })
    return process
  }

  /** As an abstract socket: it goes with its process. */
  async acquireLock(process: SimProcess, name: string): Promise<AsyncDisposable | undefined> {
    return process.io(0.05, () => {
      if (this.#locks.has(name)) return undefined
      this.#locks.set(name, process)
      return { [Symbol.asyncDispose]: async () => void this.#locks.delete(name) }
    })
  }

  startMover(parent: SimProcess, name: string): MoverLink {
    if (!parent.isAlive) return deadLink
    const child = this.start(`mover ${name}`)
    this.movers.add(child)
    child.onExit(() => this.movers.delete(child))
    const ipc = new Ipc(this.world, parent, child)
    const openMover = (_: unknown, direction: 'forward' | 'reverse') => this.#openMover(child, name, direction)
    void serveMover({ channel: ipc.channel('child'), openMover, clock: child.clock, rss: () => 0 }).then(() =>
      child.kill(),
    )
    const client = new MoverClient(ipc.channel('parent'))
    return {
      client,
      pid: this.#pids,
      kill: () => {
        if (parent.isAlive) child.kill()
      },
      [Symbol.asyncDispose]: async () => {
        if (!parent.isAlive) return never()
        ipc.disconnect()
        const harder = parent.clock.timer(5_000)
        void harder.elapsed.then(() => child.kill())
        while (child.isAlive) await parent.clock.sleep(1)
        harder.cancel()
      },
    }
  }

  startGuard(parent: SimProcess, control: SimControl): GuardChannel {
    const guard = this.start('guard')
    this.guards.add(guard)
    guard.onExit(() => this.guards.delete(guard))
    const ipc = new Ipc(this.world, parent, guard)
    const served = serveGuard({
      openLog: () => silent,
      openMover: ({ name }, direction) => this.#openMover(guard, name, direction),
      createRoutings: ({ name }) => [this.openRouting(guard, name)],
      createGateways: () => [],
      openShared: async () => ({
        decisions: control.decisions(guard),
        isOpen: async (id) => (await control.records(guard).cutovers.find(id))?.outcome == null,
      }),
      clock: guard.clock,
      surroundings: {
        channel: ipc.fromGuard(),
        files: this.files.for(guard),
        acquireLock: (name) => this.acquireLock(guard, name),
      },
    })
    void served.catch((thrown) => this.world.tell(guard.name, `fails: ${thrown}`)).then(() => guard.kill())
    return ipc.toGuard()
  }

  openRouting(process: SimProcess, name: string) {
    return openSimRouting(this.network, process, this.#store(name))
  }

  /** Everything that runs here ends; on the disk stays what was flushed. */
  cutPower(): void {
    for (const process of [...this.#processes]) {
      process.isStruck = true
      process.kill()
    }
    this.files.cutPower()
  }

  #openMover(process: SimProcess, name: string, direction: 'forward' | 'reverse') {
    const { world, network } = this
    return openSimMover({ world, network, process, store: this.#store(name), direction })
  }

  #store(name: string): SimStore {
    const store = this.#stores.get(name)
    if (!store) throw new Error(`There is no store ${name}.`)
    return store
  }
}

const deadLink: MoverLink = {
  client: new MoverClient({ send: () => {}, onMessage: () => {}, onClose: () => {} }),
  pid: 0,
  kill: () => {},
  [Symbol.asyncDispose]: () => never(),
}
