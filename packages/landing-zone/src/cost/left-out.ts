/** What was not built, and what would ask for it: "only the necessary" is a decision that can be read. */
import type { Blueprint } from '../plan/blueprint.ts'

export interface LeftOut {
  readonly what: string
  readonly why: string
  /** What would have to be true for it to pay. */
  readonly breakEven: string
}

export function leftOut(blueprint: Blueprint): LeftOut[] {
  const { extras, onPremises, zones, isProduction, natZones, stores } = blueprint
  const search = stores.find(({ form }) => form === 'opensearch')
  const choices: readonly (LeftOut | false)[] = [
    !(extras.transitGateway || onPremises?.directConnect) && {
      what: 'Transit gateway',
      why: 'One VPC reaches the old site by a virtual private gateway, which has no price of its own.',
      breakEven:
        'From the third VPC that must reach the old site, or with Direct Connect and its backup on one gateway.',
    },
    !extras.firewall && {
      what: 'Network Firewall',
      why: 'Partners are named by DNS, and only names on the list have an answer.',
      breakEven:
        'When somebody must be stopped who calls an address without a name, or an auditor asks for inspection.',
    },
    !onPremises?.directConnect && {
      what: 'Direct Connect',
      why: 'Two tunnels carry 1.25 Gbit/s each; nothing in the estate asks for more.',
      breakEven:
        'When the full loads do not fit into a night over the tunnels, or when jitter hurts after the cutover.',
    },
    zones.length < 3 && {
      what: 'A third zone',
      why: isProduction ? 'The estate asks for two.' : 'Two show what breaks between zones.',
      breakEven:
        'When losing one of two must not leave a single one, or for three voters (DocumentDB, OpenSearch with standby).',
    },
    natZones.length < zones.length && {
      what: 'A NAT gateway in every zone',
      why: 'The loss of its zone stops calls to partners, not payments inside.',
      breakEven:
        'When partner calls must survive the loss of a zone, or when traffic between zones costs more than the gateway.',
    },
    !isProduction && {
      what: 'Interface endpoints in every zone',
      why: 'One zone is enough to reach AWS services where nothing needs to survive its loss.',
      breakEven: 'In production, always.',
    },
    search?.availability !== 'standby' && {
      what: 'OpenSearch with standby',
      why: 'Search follows the ledger and can be filled again from it.',
      breakEven: 'When search must answer without a gap through the loss of a zone.',
    },
    !extras.privateCertificateAuthority && {
      what: 'Private certificate authority',
      why: 'Certificates between balancer and machine need not be signed by anybody.',
      breakEven: 'When services prove themselves to each other by certificates.',
    },
  ]
  return choices.filter((choice) => choice !== false)
}
