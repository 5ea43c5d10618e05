/** Who answered at which old address: how rules between addresses become flows between parties. */
import type { LandingZone } from '@replatform/core/landing-zone-estate'
import { type Cidr, contains, parseCidr } from '../plan/cidr.ts'
import { isPrivate, rangeOf } from './ranges.ts'

export interface Known {
  readonly kind: 'service' | 'store'
  readonly name: string
}

export class AddressBook {
  readonly #entries: (Known & { readonly address: Cidr })[]
  readonly #site: readonly Cidr[]

  constructor({ services, stores, onPremises }: Pick<LandingZone, 'services' | 'stores' | 'onPremises'>) {
    const entriesOf = (kind: Known['kind'], items: Readonly<Record<string, { readonly oldAddresses?: string[] }>>) =>
      Object.entries(items).flatMap(([name, { oldAddresses = [] }]) =>
        oldAddresses.flatMap((text) => {
          const address = rangeOf(text)
          return address ? [{ kind, name, address }] : []
        }),
      )
    this.#entries = [...entriesOf('service', services), ...entriesOf('store', stores)]
    this.#site = (onPremises?.networks ?? []).flatMap((text) => parseCidr(text) ?? [])
  }

  /** Everything that answers inside a range, each once. */
  inside(range: Cidr): Known[] {
    const found = this.#entries.filter(({ address }) => contains(range, address))
    return [...new Map(found.map(({ kind, name }) => [`${kind} ${name}`, { kind, name }])).values()]
  }

  /** What answers at exactly that, and nothing beside it. */
  exactly(range: Cidr): Known[] {
    return range.prefix >= 29 ? this.inside(range) : []
  }

  isOfSite(range: Cidr): boolean {
    return isPrivate(range) || this.#site.some((network) => contains(network, range))
  }
}
