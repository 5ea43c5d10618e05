/** The bridge in a process of its own, with the memory that a worker gives a mover. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ActivemqServer } from '@replatform/testkit/activemq-server'
import type { RabbitmqServer } from '@replatform/testkit/rabbitmq-server'
import { addressOf } from './rabbitmq-clients.ts'

export interface BridgeProcess extends AsyncDisposable {
  /** Ends it; resolves with the most memory that it had. */
  end(): Promise<{ readonly rssMiB: number }>
}

interface Sides {
  readonly source: RabbitmqServer
  readonly target: RabbitmqServer | ActivemqServer
  /** Of every queue, instead of what the plan proposes. */
  readonly order?: 'kept' | 'loose'
  /** Folder where it leaves a CPU profile. */
  readonly profiles?: string | undefined
}

/** Resolves when it has its plan and begins to read: every queue is carried from the start on. */
export function startOurs(
  { source, target, order, profiles }: Sides,
  log: (line: string) => void,
): Promise<BridgeProcess> {
  const isActivemq = target instanceof ActivemqServer
  const environment = {
    BENCH_SOURCE_URL: addressOf(source),
    BENCH_TARGET_KIND: isActivemq ? 'activemq' : 'rabbitmq',
    ...(order ? { BENCH_ORDER: order } : {}),
    BENCH_TARGET_URL: isActivemq ? `${target.url()}?jolokia=${target.statistics.url}` : addressOf(target),
  }
  return start({ file: './rabbitmq-once.ts', environment, profiles }, log)
}

/** One consumer and one publisher, and nothing between them. */
export function startBare(
  { source, target }: { readonly source: RabbitmqServer; readonly target: RabbitmqServer },
  queue: string,
  log: (line: string) => void,
): Promise<BridgeProcess> {
  const addresses = { BENCH_SOURCE_URL: addressOf(source), BENCH_TARGET_URL: addressOf(target) }
  return start({ file: './bare-pipe.ts', environment: { ...addresses, BENCH_QUEUE: queue } }, log)
}

interface Program {
  readonly file: string
  readonly environment: Readonly<Record<string, string>>
  readonly profiles?: string | undefined
}

async function start({ file, environment, profiles }: Program, log: (line: string) => void): Promise<BridgeProcess> {
  const program = fileURLToPath(new URL(file, import.meta.url))
  const profiling = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]
  const child = spawn(process.execPath, ['--max-old-space-size=160', ...profiling, program], {
    env: { ...process.env, ...environment },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let output = ''
  const ready = Promise.withResolvers<void>()
  child.stdout.on('data', (piece) => {
    output += piece
    if (output.includes('ready')) ready.resolve()
  })
  const ended = once(child, 'exit')
  await Promise.race([ready.promise, ended])
  const end = async () => {
    child.stdin.end()
    const [code] = await ended
    if (code !== 0) throw new Error(`The bridge ended with ${code}`)
    const { rssMiB } = JSON.parse(output.trimEnd().split('\n').at(-1) ?? '{}') as { rssMiB: number }
    return { rssMiB }
  }
  return {
    end,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) log(`the bridge took ${(await end()).rssMiB} MiB at most`)
    },
  }
}
