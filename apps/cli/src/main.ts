import { runCli } from './cli.ts'
import { exitCodes } from './exit-codes.ts'

const interruption = new AbortController()

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The first asks to stop cleanly; whoever asks again does not want to wait.
    if (interruption.signal.aborted) process.exit(exitCodes.interrupted.code)
    interruption.abort()
  })
}

// `replatform audit | head` closes the pipe before we have written all.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok.code)
  throw error
})

process.exitCode = await runCli(process.argv.slice(2), {
  out: process.stdout,
  err: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  interrupted: interruption.signal,
})
