import { readFileSync } from 'node:fs'
import type { RemoteOptions } from '@replatform/control/api'
import { AccessTokens } from '@replatform/control/api-access'
import { ReplatformError } from '@replatform/core/errors'
import pino from 'pino'
import type { Invocation } from '../invocation.ts'
import type { Verb, VerbOptions } from '../verb.ts'
import { createLog } from '../worker-log.ts'

export const serve: Verb = {
  name: 'serve',
  summary: 'run a worker that other machines may ask',
  description:
    'Runs a worker, as "replatform worker" does, and serves its control API beyond the local socket: over TLS only, to whoever has a token that the estate file lists under "access". A viewer looks, an operator also asks for operations, an approver also approves waves. The API describes itself at /openapi.json.',
  example: 'replatform serve --listen 0.0.0.0:8443 --tls-cert tls.crt --tls-key tls.key',
  exits: ['ok', 'usage', 'refused', 'unreachable', 'failed'],
  configure(command) {
    command.option('--listen <host:port>', 'where to listen')
    command.option('--tls-cert <file>', 'the certificate with its chain, in PEM form')
    command.option('--tls-key <file>', 'its private key, in PEM form')
  },
  async run(invocation, options) {
    const remote = remoteOptions(invocation, options)
    const log = createLog(pino.destination({ dest: 2, sync: true }))
    const { startOwnWorker } = await import('../own-worker.ts')
    const running = await startOwnWorker(invocation, log, { hostsMoves: true, remote })
    const { interrupted } = invocation.io
    const stop = () => void running.stop()
    interrupted.addEventListener('abort', stop, { once: true })
    if (interrupted.aborted) stop()
    invocation.notice(`The control API listens at https://${remote.host}:${remote.port}.`)
    await running.stopped
    if (invocation.json) invocation.io.out.write(`${JSON.stringify({ stopped: true })}\n`)
    return 'ok'
  },
}

/** Before anything is started: without TLS, or without a token, nothing listens. */
function remoteOptions({ estate, resolveSecret }: Invocation, { listen, tlsCert, tlsKey }: VerbOptions): RemoteOptions {
  const [, host, port] = /^(.+):([0-9]{1,5})$/.exec(listen ?? '') ?? []
  if (host === undefined || Number(port) > 65_535) {
    throw unusable(`--listen takes a host and a port, such as 0.0.0.0:8443, not "${listen ?? ''}".`)
  }
  if (!tlsCert || !tlsKey) {
    throw unusable('Beyond the local socket the API is served over TLS only: --tls-cert and --tls-key are needed.')
  }
  return {
    host: host.replace(/^\[(.+)\]$/, '$1'),
    port: Number(port),
    certificate: read('--tls-cert', tlsCert),
    key: read('--tls-key', tlsKey),
    tokens: new AccessTokens(estate.access ?? [], resolveSecret),
  }
}

function read(option: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw unusable(`${option}: ${path} cannot be read (${(cause as NodeJS.ErrnoException).code}).`, cause)
  }
}

function unusable(message: string, cause?: unknown): ReplatformError {
  return new ReplatformError('access.unusable', { message, cause })
}
