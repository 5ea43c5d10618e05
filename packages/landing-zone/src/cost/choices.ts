/**
 * What costs money of its own and may be left out: whether it stands, which requirement asks for it, and from where on
 * it pays, in figures of the price file. "Only the necessary" is a decision that can be read.
 */
import type { Blueprint } from '../plan/blueprint.ts'
import { standingNeed } from '../plan/requirements.ts'
import type { TemplateGraph } from '../template/template-graph.ts'
import { type Bill, billOf, type Line } from './bill.ts'
import { billingOf } from './billed-items.ts'
import { dollars } from './dollars.ts'
import type { Prices } from './price-file.ts'

export interface Choice {
  readonly what: string
  readonly isBuilt: boolean
  /** What asks for it; null where nothing does, and it is left out. */
  readonly requirement: string | null
  readonly why: string
  /** What it costs, or would cost, in millionths of a dollar a month; null where a price is missing, which is not zero. */
  readonly monthlyMicroUsd: number | null
  /** Where it begins to pay, in words. */
  readonly breakEven: string
  /** The same in figures; null where a price is missing. */
  readonly figures: string | null
  /** Keys that the figures lack. */
  readonly unpriced: readonly string[]
}

export function choicesOf(blueprint: Blueprint, graph: TemplateGraph, prices: Prices): Choice[] {
  return new Choices(blueprint, graph, prices).all()
}

interface Case extends Omit<Choice, 'monthlyMicroUsd' | 'figures' | 'unpriced'> {
  readonly cost: readonly Line[]
  /** Prices that the figures need beyond the cost. */
  readonly against?: readonly Line[]
  readonly figures: (cost: number, against: number) => string
}

class Choices {
  readonly #blueprint: Blueprint
  readonly #graph: TemplateGraph
  readonly #prices: Prices

  constructor(blueprint: Blueprint, graph: TemplateGraph, prices: Prices) {
    this.#blueprint = blueprint
    this.#graph = graph
    this.#prices = prices
  }

  all(): Choice[] {
    const cases = [
      this.#transitGateway(),
      this.#firewall(),
      this.#thirdZone(),
      this.#natPerZone(),
      this.#endpointsPerZone(),
      this.#standbySearch(),
      this.#directConnect(),
      this.#certificates(),
    ]
    return cases.filter((one) => one !== undefined).map((one) => this.#priced(one))
  }

  #priced({ cost, against = [], figures, ...choice }: Case): Choice {
    const bill = this.#bill(cost)
    const other = this.#bill(against)
    const isKnown = bill.microUsd !== null && other.microUsd !== null
    return {
      ...choice,
      monthlyMicroUsd: bill.microUsd,
      figures: isKnown ? figures(bill.microUsd, other.microUsd) : null,
      unpriced: [...new Set([...bill.unpriced, ...other.unpriced])],
    }
  }

  #bill(lines: readonly Line[]): Bill {
    return billOf(lines, this.#prices, this.#blueprint.region)
  }

  /** Without it every network has tunnels of its own; with it they share one pair for each router. */
  #transitGateway(): Case | undefined {
    const { extras, onPremises } = this.#blueprint
    if (!onPremises) return undefined
    const routers = onPremises.vpn.peers.length
    const [tunnel, attachment] = [['vpn-connection', routers] as const, 'transit-gateway-attachment']
    return {
      what: 'Transit gateway',
      isBuilt: Boolean(extras.transitGateway || onPremises.directConnect),
      requirement: extras.transitGateway ?? onPremises.directConnect?.reason ?? null,
      why: 'One VPC reaches the old site by a virtual private gateway, which has no price of its own.',
      breakEven: 'When so many VPCs must reach the old site that tunnels for each cost more, or with Direct Connect.',
      cost: [[attachment, routers + 1]],
      against: [tunnel],
      figures: (cost, tunnels) => {
        const each = cost / (routers + 1)
        const saved = tunnels - each
        const from = Math.ceil((routers * each + tunnels) / saved)
        const when = saved > 0 ? `it pays from ${from} VPCs on` : 'it never pays by price alone'
        return `${dollars(cost)} a month for one VPC; each further VPC costs ${dollars(each)} instead of ${dollars(tunnels)} for tunnels of its own: ${when}.`
      },
    }
  }

  #firewall(): Case {
    const { extras, natZones, firewallZones } = this.#blueprint
    return {
      what: 'Network Firewall',
      isBuilt: firewallZones.length > 0,
      requirement: extras.firewall ?? null,
      why: 'Partners are named by DNS, and only names on the list have an answer.',
      breakEven:
        'When somebody must be stopped who calls an address without a name, or an auditor asks for inspection.',
      cost: [['network-firewall', Math.max(1, natZones.length)]],
      against: [['dns-firewall-domain', 2]],
      figures: (cost, list) =>
        `${dollars(cost)} a month for ${Math.max(1, natZones.length)} endpoints, before gigabytes, against ${dollars(list)} for the list of names: it pays where one such call in a year would cost more than ${dollars(12 * (cost - list))}.`,
    }
  }

  /** With two zones each must carry everything when the other is lost, with three a half: 2 loads of machines, or 1½. */
  #thirdZone(): Case {
    const { zones, isProduction, settings } = this.#blueprint
    const machines = this.#linesOf('AWS::AutoScaling::AutoScalingGroup')
    return {
      what: 'A third zone',
      isBuilt: zones.length >= 3,
      requirement: zones.length >= 3 ? standingNeed['availability.zones'] : null,
      why:
        zones.length >= 3
          ? settings.zones === undefined
            ? 'Three are the default of production.'
            : 'The estate asks for three.'
          : isProduction
            ? 'The estate asks for two.'
            : 'Two show what breaks between zones.',
      breakEven:
        'When losing one of two must not leave a single one, for three voters (DocumentDB, OpenSearch with standby), or by price.',
      cost: this.#perZone(),
      against: machines,
      figures: (cost, spent) =>
        `${dollars(cost)} a month for what stands in it whatever the load. To survive a zone, two zones need twice the machines of the load and three one and a half: it pays once the load alone needs ${dollars(2 * cost)} of machines; the least that the groups keep costs ${dollars(spent)}.`,
    }
  }

  /** What a zone has whatever happens in it: its way out, its endpoints, its firewall. */
  #perZone(): Line[] {
    const { natZones, firewallZones, zones, isProduction } = this.#blueprint
    const has = (list: readonly string[]) => (list.length === zones.length ? 1 : 0)
    return [
      ['nat-gateway', has(natZones)],
      ['public-ipv4', has(natZones)],
      ['network-firewall', has(firewallZones)],
      ['vpc-endpoint', isProduction ? this.#interfaces() : 0],
    ]
  }

  #natPerZone(): Case | undefined {
    const { natZones, zones } = this.#blueprint
    if (natZones.length === 0) return undefined
    const isBuilt = natZones.length === zones.length
    return {
      what: 'A NAT gateway in every zone',
      isBuilt,
      requirement: isBuilt ? standingNeed['availability.zones'] : null,
      why: isBuilt
        ? 'In production the loss of a zone takes nobody else’s way out.'
        : 'The loss of its zone stops calls to partners, not payments inside.',
      breakEven:
        'When calls to partners must survive the loss of a zone, or when traffic between zones costs more than the gateways.',
      cost: [
        ['nat-gateway', zones.length - 1],
        ['public-ipv4', zones.length - 1],
      ],
      against: [[crossing, 1]],
      figures: (cost, gib) => insteadOfCrossing(cost, gib, zones.length),
    }
  }

  #endpointsPerZone(): Case {
    const { isProduction, zones } = this.#blueprint
    return {
      what: 'Interface endpoints in every zone',
      isBuilt: isProduction,
      requirement: isProduction ? standingNeed['availability.zones'] : null,
      why: isProduction
        ? 'Secrets, keys and administration must be reached when a zone is lost.'
        : 'One zone is enough to reach AWS services where nothing needs to survive its loss.',
      breakEven: 'In production always; elsewhere when traffic between zones costs more than the endpoints.',
      cost: [['vpc-endpoint', this.#interfaces() * (zones.length - 1)]],
      against: [[crossing, 1]],
      figures: (cost, gib) => insteadOfCrossing(cost, gib, zones.length),
    }
  }

  /** One third of the nodes waits: to serve as much as before, half as many again are needed. */
  #standbySearch(): Case | undefined {
    const search = this.#blueprint.stores.find(({ form }) => form === 'opensearch')
    if (!search) return undefined
    const isBuilt = search.availability === 'standby'
    const data = this.#linesOf('AWS::OpenSearchService::Domain').filter(
      ([key]) => key.includes('storage') || key === `opensearch:${search.size?.instanceClass}`,
    )
    return {
      what: 'OpenSearch with standby',
      isBuilt,
      requirement: isBuilt ? search.reason : null,
      why: isBuilt ? 'The estate asks for it.' : 'Search follows the ledger and can be filled again from it.',
      breakEven: 'When search must answer without a gap through the loss of a zone.',
      cost: data.map(([key, quantity]) => [key, quantity / 2]),
      figures: (cost) =>
        `${dollars(cost)} a month for half as many data nodes again, since a third of them only waits: it pays where the minutes without search, once a zone is lost in a year, cost more than ${dollars(12 * cost)}.`,
    }
  }

  #directConnect(): Case | undefined {
    const { onPremises } = this.#blueprint
    if (!onPremises) return undefined
    const line = onPremises.directConnect
    const bandwidth = line?.bandwidth ?? '1Gbps'
    return {
      what: 'Direct Connect',
      isBuilt: Boolean(line),
      requirement: line?.reason ?? null,
      why: line
        ? 'The estate asks for it.'
        : 'Two tunnels carry 1.25 Gbit/s each; nothing in the estate asks for more.',
      breakEven:
        'When the full loads do not fit into a night over the tunnels, or when jitter hurts after the cutover.',
      cost: [[`direct-connect:${bandwidth}`, 1]],
      figures: (cost) => {
        const hours = Math.round((1_024 * 8.6) / (1.25 * 3_600))
        return `${dollars(cost)} a month for ${bandwidth}, without the carrier’s bill. A tunnel at its limit moves a TiB in about ${hours} hours.`
      },
    }
  }

  #certificates(): Case {
    const reason = this.#blueprint.extras.privateCertificateAuthority
    return {
      what: 'Private certificate authority',
      isBuilt: Boolean(reason),
      requirement: reason ?? null,
      why: 'Certificates between balancer and machine need not be signed by anybody.',
      breakEven: 'When services prove themselves to each other by certificates.',
      cost: [['private-ca', 1]],
      figures: (cost) => `${dollars(cost)} a month, before certificates.`,
    }
  }

  #interfaces(): number {
    const endpoints = this.#graph.ofType('AWS::EC2::VPCEndpoint')
    return endpoints.filter(({ properties }) => properties.VpcEndpointType === 'Interface').length
  }

  #linesOf(type: string): Line[] {
    return this.#graph.ofType(type).flatMap((resource) => {
      const items = billingOf(resource, this.#graph)?.items ?? []
      return items.map(({ key, quantity }): Line => [key, quantity])
    })
  }
}

/** A gigabyte that leaves its zone, as each side is billed for it. */
const crossing = 'zone-traffic-gib'

/** Of evenly spread traffic all but one zone's share crosses, and both sides pay. */
function insteadOfCrossing(cost: number, perGib: number, zones: number): string {
  const share = (zones - 1) / zones
  const gib = Math.ceil(cost / (2 * perGib * share) - 1e-6)
  return `${dollars(cost)} a month more than one; at ${dollars(2 * perGib)} a GiB between zones it pays by price from ${gib.toLocaleString('en-US')} GiB a month on.`
}
