import type { Side } from '@replatform/core/move'
import { parseBrokerAddress } from './address.ts'
import { ManagementApi } from './management-api.ts'

/** Asks the management API once and tells what runs there: `RabbitMQ 3.10.8`. Throws what is in the way. */
export async function probeRabbitmq({ url, side }: { readonly url: string; readonly side: Side }): Promise<string> {
  await using api = new ManagementApi({ address: parseBrokerAddress(url), side })
  const { rabbitmq_version: version } = await api.get<{ rabbitmq_version: string }>('overview')
  return `RabbitMQ ${version}`
}
