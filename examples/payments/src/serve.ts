import type { FastifyInstance } from 'fastify'
import { printLine } from './environment.ts'

/** Listens on loopback, prints `{"port":…}`, and returns after SIGTERM or SIGINT, when what was begun is answered. */
export async function serveUntilStopped(app: FastifyInstance, port: number): Promise<void> {
  const address = await app.listen({ host: '127.0.0.1', port })
  printLine({ port: Number(new URL(address).port) })
  await stopSignal()
  await app.close()
}

/** Resolves when somebody wants this process to end. */
export async function stopSignal(): Promise<void> {
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
  })
}
