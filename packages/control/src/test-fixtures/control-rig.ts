import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll } from 'vitest'
import { ApiClient } from '../api-client.ts'
import type { MoveStatus, Operation, OperationVerb } from '../api-types.ts'
import { FileStore } from './file-store.ts'
import { type FileWorkerOptions, startFileWorker } from './file-worker.ts'

let template: Promise<string> | undefined
let templateFolder: string | undefined

afterAll(async () => {
  if (templateFolder) await rm(templateFolder, { recursive: true, force: true })
})

/** A state directory, stores and a client, gone with everything that still runs when it is disposed of. */
export class ControlRig implements AsyncDisposable {
  readonly folder: string
  readonly #workers = new Set<ChildProcess>()

  private constructor(folder: string) {
    this.folder = folder
  }

  static async create(): Promise<ControlRig> {
    const rig = new ControlRig(await mkdtemp(join(tmpdir(), 'control-')))
    // PGlite takes seconds to make a database but only moments to open one.
    template ??= makeTemplate()
    await cp(await template, rig.stateDirectory, { recursive: true })
    return rig
  }

  get stateDirectory(): string {
    return join(this.folder, 'state')
  }

  /** The embedded control database as it was before anything happened. No worker may run. */
  async loseDatabase(): Promise<void> {
    template ??= makeTemplate()
    const database = join(this.stateDirectory, 'control')
    await rm(database, { recursive: true })
    await cp(join(await template, 'control'), database, { recursive: true })
  }

  get client(): ApiClient {
    return new ApiClient(this.stateDirectory)
  }

  store(move = 'ledger'): FileStore {
    return new FileStore(join(this.folder, move))
  }

  options(moves: readonly string[] = ['ledger']): FileWorkerOptions {
    const stores = Object.fromEntries(moves.map((move) => [move, this.store(move).folder]))
    return { stateDirectory: this.stateDirectory, stores }
  }

  /** A worker as a process of its own; returns when it is ready. */
  async fork(options: FileWorkerOptions = this.options()): Promise<ChildProcess> {
    const main = new URL('./file-worker-main.ts', import.meta.url)
    const child = fork(main, [JSON.stringify(options)], { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.#workers.add(child)
    let errors = ''
    child.stderr?.on('data', (data) => {
      errors += data
      if (process.env.CONTROL_RIG_LOG) process.stderr.write(data)
    })
    await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => Promise.reject(new Error(`The worker did not start:\n${errors}`))),
    ])
    return child
  }

  /** Asks and waits until the operation has ended. */
  async perform(verb: OperationVerb, move = 'ledger'): Promise<Operation> {
    const { id } = await this.client.ask(verb, move, { actor: 'test@rig' })
    return this.ended(id)
  }

  ended(operation: string): Promise<Operation> {
    return until(`operation ${operation} ends`, async () => {
      const now = await this.client.operation(operation)
      return now.state === 'running' ? undefined : now
    })
  }

  async status(move = 'ledger'): Promise<MoveStatus> {
    const found = (await this.client.status()).moves.find(({ name }) => name === move)
    if (!found) throw new Error(`There is no move ${move}`)
    return found
  }

  reaches(state: MoveStatus['state'], move = 'ledger'): Promise<MoveStatus> {
    return until(`${move} becomes ${state}`, async () => {
      const now = await this.status(move)
      return now.state === state ? now : undefined
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#workers) await killed(child)
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10 })
  }
}

/** Asks again until there is an answer; a refusal counts as none, since a worker may be about to start. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  withinMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + withinMs
  let cause: unknown
  while (performance.now() < deadline) {
    try {
      const answer = await ask()
      if (answer) return answer
      cause = undefined
    } catch (thrown) {
      cause = thrown
    }
    await sleep(20)
  }
  throw new Error(`Waited in vain until ${what}`, { cause })
}

/** Processes that `pid` started whose command line names `word`. */
export async function childrenOf(pid: number, word: string): Promise<number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')
    // The name of the program may hold spaces and brackets.
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    if (parent !== pid) continue
    const command = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (command.includes(word)) found.push(Number(name))
  }
  return found
}

export async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** The state directory of a worker that was started once and stopped. */
async function makeTemplate(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'control-template-'))
  templateFolder = folder
  const stateDirectory = join(folder, 'state')
  const worker = await startFileWorker({ stateDirectory, stores: { ledger: join(folder, 'ledger') } })
  await worker.stop()
  return stateDirectory
}
