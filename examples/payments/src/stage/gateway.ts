/** HAProxy as the one address for the app and for merchants, with the settings of `gateway/haproxy.cfg`. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { debianProgram } from '@replatform/testkit/debian-package'
import { freePort } from '@replatform/testkit/free-port'
import { pollUntil } from '@replatform/testkit/poll-until'
import { createTempFolder } from '@replatform/testkit/temp-folder'

const services = ['wallet', 'sessions', 'merchants', 'profiles', 'search', 'receipts'] as const
export type GatewayService = (typeof services)[number]

/** Nothing listens there: whoever asks for a service that is not there gets the gateway's own answer. */
const nowhere = '127.0.0.1:1'

export interface Gateway extends AsyncDisposable {
  readonly url: string
}

/** Starts it in front of the services that are there, and waits until it answers. None outlives this process. */
export async function startGateway(urls: Readonly<Partial<Record<GatewayService, string>>>): Promise<Gateway> {
  await using opened = new AsyncDisposableStack()
  const program = await debianProgram('haproxy', 'haproxy')
  const address = `127.0.0.1:${await freePort()}`
  const addresses = services.map((service) => {
    const url = urls[service]
    return [`${service.toUpperCase()}_ADDRESS`, url === undefined ? nowhere : new URL(url).host]
  })
  const env = { PATH: '/usr/sbin:/usr/bin:/bin', GATEWAY_ADDRESS: address, ...Object.fromEntries(addresses) }
  const settings = join(import.meta.dirname, '../../gateway/haproxy.cfg')
  // Ctrl-C in a terminal is for whoever started it, which ends it in its order.
  const gateway = spawn(program, ['-db', '-f', settings], { env, stdio: 'ignore', detached: true })
  const exited = once(gateway, 'exit')
  opened.defer(async () => {
    gateway.kill('SIGTERM')
    await exited
  })
  opened.use(await createTempFolder('payments-gateway')).guard(gateway.pid)
  await pollUntil('the gateway answers', () => fetch(`http://${address}`).then(Boolean, () => false))
  const all = opened.move()
  return { url: `http://${address}`, [Symbol.asyncDispose]: () => all.disposeAsync() }
}
