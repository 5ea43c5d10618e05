import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiClient } from '@replatform/control/api-client'
import type { MoveStatus, Operation } from '@replatform/control/api-types'
import type { SerializedError } from '@replatform/core/errors'
import { pollUntil } from '@replatform/testkit/poll-until'
import { isListening } from '../worker-connection.ts'
import { CliProcess, type CliResult } from './cli-process.ts'

export const move = 'ledger'

export interface CliRigOptions {
  /** Written as JSON, which is YAML too; a string is written as it is. */
  readonly estate: object | string | Buffer
  /** The secrets that the estate refers to. */
  readonly env?: Readonly<Record<string, string>>
  /** A state directory of the same estate to begin with: making its database anew takes longer than most commands. */
  readonly state?: string
}

export interface JsonResult<T> extends CliResult {
  readonly document: T & { readonly error?: SerializedError | null }
}

/** A folder with an estate file and its state directory, and the commands that are run there. */
export class CliRig implements AsyncDisposable {
  readonly folder: string
  readonly #env: NodeJS.ProcessEnv
  readonly #processes: CliProcess[] = []

  static async create({ estate, env = {}, state }: CliRigOptions): Promise<CliRig> {
    const folder = await mkdtemp(join(tmpdir(), 'replatform-cli-'))
    const isText = typeof estate === 'string' || Buffer.isBuffer(estate)
    await writeFile(join(folder, 'estate.yaml'), isText ? estate : JSON.stringify(estate, null, 2))
    if (state) await cp(state, join(folder, '.replatform'), { recursive: true })
    const { PATH, HOME } = process.env
    return new CliRig(folder, { PATH, HOME, ...env })
  }

  private constructor(folder: string, env: NodeJS.ProcessEnv) {
    this.folder = folder
    this.#env = env
  }

  get stateDirectory(): string {
    return join(this.folder, '.replatform')
  }

  get client(): ApiClient {
    return new ApiClient(this.stateDirectory)
  }

  spawn(...args: string[]): CliProcess {
    const command = new CliProcess({ args, env: this.#env, cwd: this.folder })
    this.#processes.push(command)
    return command
  }

  run(...args: string[]): Promise<CliResult> {
    return this.spawn(...args).ended
  }

  async json<T = Operation>(...args: string[]): Promise<JsonResult<T>> {
    const result = await this.run(...args, '--json')
    return { ...result, document: JSON.parse(result.out) }
  }

  /** Resolves when it answers. */
  async worker(): Promise<CliProcess> {
    const worker = this.spawn('worker')
    const answers = async () => !worker.running || (await isListening(this.client))
    // The first one makes its database, which takes long on a machine that is busy.
    await pollUntil('the worker answers', answers, { withinMs: 120_000 })
    if (!worker.running) throw new Error(`The worker ended: ${worker.err}`)
    return worker
  }

  /** By the worker that runs. */
  async status(): Promise<MoveStatus> {
    const [status] = (await this.client.status()).moves
    if (!status) throw new Error('The estate has no move.')
    return status
  }

  until(reason: string, fits: (status: MoveStatus) => boolean): Promise<MoveStatus> {
    const look = async () => {
      const status = await this.status()
      if (fits(status)) return status
      // Becomes the cause, should the waiting be in vain.
      throw new Error(JSON.stringify(status, null, 1))
    }
    return pollUntil(reason, look, { everyMs: 100 })
  }

  /** All that was printed, and all that was written where a person or a log shipper would read it. */
  async everythingSaid(): Promise<string> {
    const printed = this.#processes.flatMap(({ out, err }) => [out, err])
    return [...printed, ...(await textsBelow(this.stateDirectory))].join('\n')
  }

  /** Names in the state directory; none where there is no such directory. */
  async stateFiles(): Promise<string[]> {
    return (await readdir(this.stateDirectory).catch(() => [])).sort()
  }

  async writeState(name: string, text: string): Promise<void> {
    await mkdir(this.stateDirectory, { recursive: true, mode: 0o700 })
    await writeFile(join(this.stateDirectory, name), text)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const command of this.#processes) await command[Symbol.asyncDispose]()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Also the control database's own files: what stands in them unencrypted could be read by whoever gets the disk. */
async function textsBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Promise.all(files.map((file) => readFile(file, 'latin1').catch(() => '')))
}
