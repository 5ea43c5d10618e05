import type { Side } from '@replatform/core/move'
import { parseBrokerAddress } from './address.ts'
import { openAmqp } from './amqp-connection.ts'
import { ManagementApi } from './management-api.ts'

/** Connects both ways and tells what runs there: `RabbitMQ 3.10.8`. Throws what is in the way. */
export async function probeRabbitmq({ url, side }: { readonly url: string; readonly side: Side }): Promise<string> {
  const address = parseBrokerAddress(url)
  const login = async () => {
    await using _ = await openAmqp({ address, side, name: 'replatform probes' })
  }
  await using api = new ManagementApi({ address, side, login })
  const { rabbitmq_version: version } = await api.get<{ rabbitmq_version: string }>('overview')
  await login()
  return `RabbitMQ ${version}`
}
