import { formatCidr } from '../plan/cidr.ts'
import type { AddressBook } from './address-book.ts'
import { at } from './config-text.ts'
import type { Left, Outcomes } from './outcome.ts'
import { rangeOf } from './ranges.ts'
import type { Services } from './services.ts'
import type { AllowedHost } from './squid.ts'

interface ProxyOptions {
  readonly services: Services
  readonly book: AddressBook
  readonly outcomes: Outcomes
  readonly hosts: readonly AllowedHost[]
}

/** Partners of the old proxy become egress of the services that could call them. */
export function applyProxy({ services, book, outcomes, hosts }: ProxyOptions): void {
  for (const one of hosts) {
    const { host, ports, from } = one
    const range = rangeOf(host)
    if (!isName(host) && !range) {
      outcomes.left(one, 'dstdomain', noName)
      continue
    }
    const callers = from
      .flatMap((range) => book.inside(range))
      .flatMap(({ kind, name }) => (kind === 'service' ? [name] : []))
    const names = callers.length > 0 ? callers : Object.keys(services.all())
    if (callers.length === 0) outcomes.left(one, host, callersUnknown)
    for (const name of names) {
      const service = services.find(name)
      if (!service) continue
      for (const port of ports.length > 0 ? ports : [443]) {
        const address = range && formatCidr(range)
        const has = service.egress?.some(
          (partner) =>
            partner.port === port && (address ? partner.addresses?.includes(address) : partner.host === host),
        )
        if (has) continue
        const reason = `Allowed by the old proxy (${at(one)}): say here what for.`
        service.egress = [
          ...(service.egress ?? []),
          { ...(address ? { addresses: [address] } : { host }), port, reason },
        ]
      }
    }
  }
}

/** A wildcard stands for whole labels at the front only. */
function isName(host: string): boolean {
  return /^(\*\.)?([a-z0-9_-]+\.)+[a-z]{2,}$/i.test(host)
}

const noName: Left = {
  id: 'proxy-no-name',
  title: 'A partner is no name that DNS answers for.',
  remedy: 'Write its name, port and reason as egress of the service that calls it.',
}
const callersUnknown: Left = {
  id: 'proxy-callers',
  title: 'Who called the partner is not known: every service may.',
  remedy: 'Take it away from those that need it not, or add oldAddresses to the services and translate again.',
}
