import type { Side } from '@replatform/core/move'
import { parseActivemqAddress } from './address.ts'
import { openConnection } from './broker-connection.ts'
import { Jolokia } from './jolokia.ts'

/** Connects by AMQP and by Jolokia once and tells what runs there: `ActiveMQ 5.18.6`. Throws what is in the way. */
export async function probeActivemq({ url, side }: { readonly url: string; readonly side: Side }): Promise<string> {
  const address = parseActivemqAddress(url)
  await using _ = await openConnection({ address, side, name: `replatform-doctor-${process.pid}` })
  return `ActiveMQ ${await new Jolokia(address, side).version()}`
}
