/** What contradicts itself or AWS, found before a resource is thought of. Pure: asks no account. */
import type { Finding } from '@replatform/core/finding'
import type { LandingEnvironment, LandingZone } from '@replatform/core/landing-zone-estate'
import { type BlueprintOptions, zoneCount } from './blueprint.ts'
import { overlaps, parseCidr, privateRanges } from './cidr.ts'
import { findingOn } from './finding-on.ts'
import { regionFacts, regionFactsAt, zonesOf } from './region-facts.ts'
import { interfaceFindings } from './validate-interfaces.ts'
import { routeFindings } from './validate-routes.ts'
import { storeFindings } from './validate-stores.ts'

export function validate(options: BlueprintOptions): Finding[] {
  const { landingZone, environment } = options
  const settings = landingZone.environments[environment]
  if (!settings) return [unknownEnvironment(environment, landingZone)]
  return [
    ...networkFindings(landingZone),
    ...zoneFindings(landingZone, settings),
    ...accountFindings(landingZone),
    ...serviceFindings(landingZone),
    ...routeFindings(landingZone),
    ...interfaceFindings(landingZone),
    ...lineFindings(landingZone),
    ...storeFindings(options, settings),
    ...offHoursFindings(environment, settings),
    ...egressFindings(landingZone),
    ...s3Findings(landingZone),
  ]
}

function unknownEnvironment(environment: string, { environments }: LandingZone): Finding {
  return {
    id: 'landing-zone.unknown-environment',
    severity: 'blocker',
    title: `There is no environment "${environment}".`,
    evidence: Object.keys(environments),
    remedy: 'Name one of these with --environment, or describe it under landingZone.environments.',
  }
}

interface NamedRange {
  readonly name: string
  readonly text: string
}

function networkFindings({ environments, onPremises }: LandingZone): Finding[] {
  const ranges: NamedRange[] = [
    ...Object.entries(environments).map(([name, { network }]) => ({ name: `environment ${name}`, text: network })),
    ...(onPremises?.networks ?? []).map((text) => ({ name: 'on-premises', text })),
    ...(onPremises?.people ? [{ name: 'people', text: onPremises.people.network }] : []),
  ]
  const unreadable = ranges.filter(({ text }) => !parseCidr(text))
  const sizes = ranges.filter(({ name, text }) => name.startsWith('environment') && !isUsableSize(text))
  return [
    ...findingOn(unreadable.map(show), {
      id: 'landing-zone.range-invalid',
      severity: 'blocker',
      title: 'A network is no IPv4 range, or has bits behind its prefix.',
      remedy: 'Write the lowest address of the range and its prefix: 10.20.0.0/16.',
    }),
    ...findingOn(sizes.map(show), {
      id: 'landing-zone.range-size',
      severity: 'blocker',
      title: 'A network is too large for a VPC, or too small to be divided into its subnets.',
      remedy: 'A VPC takes /16 to /28; twelve subnets of at least /26 need /22 or more: choose /16 to /22.',
    }),
    ...findingOn(overlapsAmong(ranges), {
      id: 'landing-zone.ranges-overlap',
      severity: 'blocker',
      title: 'Networks share addresses: no route can tell them apart.',
      remedy: 'Give every environment, the old site and the people who dial in a range of their own.',
    }),
  ]
}

function isUsableSize(text: string): boolean {
  const range = parseCidr(text)
  return !range || (range.prefix >= 16 && range.prefix <= 22)
}

function show({ name, text }: NamedRange): string {
  return `${name}: ${text}`
}

function overlapsAmong(ranges: readonly NamedRange[]): string[] {
  return ranges.flatMap((one, index) =>
    ranges.slice(index + 1).flatMap((other) => {
      const [a, b] = [parseCidr(one.text), parseCidr(other.text)]
      const bothPeople = one.name === 'on-premises' && other.name === 'on-premises'
      return a && b && !bothPeople && overlaps(a, b) ? [`${show(one)} and ${show(other)}`] : []
    }),
  )
}

function zoneFindings({ region }: LandingZone, settings: LandingEnvironment): Finding[] {
  const wanted = zoneCount(settings)
  const has = zonesOf(region, wanted).length
  const lookUp = `aws ssm get-parameters-by-path --path /aws/service/global-infrastructure/regions/${region}/services`
  const known = regionFacts[region]
  return [
    ...findingOn(has < wanted ? [`${region}: ${has}, asked for: ${wanted}`] : [], {
      id: 'landing-zone.too-few-zones',
      severity: 'blocker',
      title: 'The region has fewer availability zones than the environment asks for.',
      remedy: 'Choose another region, or say `zones: 2` where two are enough.',
    }),
    ...findingOn(known ? [] : [region], {
      id: 'landing-zone.region-unknown',
      severity: 'risk',
      title: 'Nothing is known here about what the region offers; three zones named a, b and c are assumed.',
      remedy: `Look it up before the first deployment: ${lookUp}`,
    }),
    ...findingOn(known ? [`${region}, facts of ${regionFactsAt}`] : [], {
      id: 'landing-zone.region-not-asked',
      severity: 'note',
      title: 'What the region offers was read from public lists on that day, not from your account.',
      remedy: `Look it up before the first deployment: ${lookUp}`,
    }),
  ]
}

function accountFindings({ environments }: LandingZone): Finding[] {
  const production = Object.entries(environments).filter(([, { kind }]) => kind === 'production')
  const others = Object.entries(environments).filter(([, { kind }]) => kind !== 'production')
  const shared = others.filter(([, { account }]) => production.some(([, p]) => p.account === account))
  return findingOn(
    shared.map(([name, { account }]) => `${name}: ${account}`),
    {
      id: 'landing-zone.account-shared',
      severity: 'risk',
      title: 'An environment shares its account with production: only its network keeps them apart.',
      remedy: 'Give it an account of its own (PCI-DSS 4.0.1, 6.5.3), or accept the VPC as the boundary and say so.',
    },
  )
}

function serviceFindings({ services, stores }: LandingZone): Finding[] {
  const entries = Object.entries(services)
  const unknown = entries.flatMap(([name, { stores: used = [], calls = [], routes = [] }]) => [
    ...used.filter((store) => !(store in stores)).map((store) => `${name}: no store is named ${store}`),
    ...calls.filter((other) => !(other in services)).map((other) => `${name}: no service is named ${other}`),
    ...routes.flatMap(({ to }) =>
      to !== undefined && !(to in services) ? [`${name}: no service is named ${to}`] : [],
    ),
  ])
  const scaled = entries.filter(
    ([, { stateful, scaleAtCpu, schedule }]) => stateful && (scaleAtCpu !== undefined || schedule),
  )
  const hostless = entries.filter(([, { from, host }]) => from.includes('internet') && host === undefined)
  return [
    ...findingOn(unknown, {
      id: 'landing-zone.unknown-name',
      severity: 'blocker',
      title: 'A service uses something that is not described.',
      remedy: 'Describe it under landingZone.stores or landingZone.services, or correct the name.',
    }),
    ...findingOn(
      scaled.map(([name]) => name),
      {
        id: 'landing-zone.stateful-scaling',
        severity: 'blocker',
        title: 'A service that keeps state cannot be scaled by adding machines.',
        remedy: 'Leave out scaleAtCpu and schedule: it gets alarms that recover its machines.',
      },
    ),
    ...findingOn(
      hostless.map(([name]) => name),
      {
        id: 'landing-zone.public-without-host',
        severity: 'blocker',
        title: 'A service that the internet reaches has no name to be reached by.',
        remedy: 'Give it `host`, a name inside the domain of the environment.',
      },
    ),
  ]
}

/** Source of the limits: Direct Connect user guide, "MAC Security" and "Private IP VPN". */
function lineFindings({ onPremises }: LandingZone): Finding[] {
  const line = onPremises?.directConnect
  if (!line) return []
  const isLarge = line.bandwidth === '10Gbps' || line.bandwidth === '100Gbps'
  const dedicatedOnly = ['1Gbps', '10Gbps', '100Gbps']
  return [
    ...findingOn(
      line.macsec && (line.connection === 'hosted' || !isLarge) ? [`${line.connection}, ${line.bandwidth}`] : [],
      {
        id: 'landing-zone.macsec-unavailable',
        severity: 'blocker',
        title: 'MACsec exists on dedicated connections of 10 Gbps and more only.',
        remedy: 'Leave it out: a private-IP VPN over the line encrypts instead.',
      },
    ),
    ...findingOn(line.connection === 'dedicated' && !dedicatedOnly.includes(line.bandwidth) ? [line.bandwidth] : [], {
      id: 'landing-zone.bandwidth-unavailable',
      severity: 'blocker',
      title: 'Dedicated connections have 1, 10 or 100 Gbps.',
      remedy: 'Order a hosted connection from a partner for less.',
    }),
  ]
}

function offHoursFindings(environment: string, { kind, offHours }: LandingEnvironment): Finding[] {
  return findingOn(offHours && kind === 'production' ? [environment] : [], {
    id: 'landing-zone.production-off-hours',
    severity: 'blocker',
    title: 'Production cannot have off-hours.',
    remedy: 'Leave out offHours.',
  })
}

/** What a rule about outgoing calls cannot be made from. */
function egressFindings({ services, extras, onPremises }: LandingZone): Finding[] {
  const calls = Object.entries(services).flatMap(([name, { egress = [] }]) => egress.map((to) => ({ name, ...to })))
  const isTls = ({ port }: { readonly port: number }) => port === 443 || port === 80
  const inside = [...privateRanges, ...(onPremises?.networks ?? [])].flatMap((text) => parseCidr(text) ?? [])
  const shown = ({ name, host, addresses = [], port }: (typeof calls)[number]) =>
    `${name}: ${[host ?? [], addresses].flat().join(', ')} port ${port}`
  return [
    ...findingOn(calls.filter(({ host, addresses }) => !host && !addresses).map(shown), {
      id: 'landing-zone.egress-nowhere',
      severity: 'blocker',
      title: 'A partner has neither a name nor an address.',
      remedy: 'Give it `host`, or `addresses` where these are fixed.',
    }),
    ...findingOn(
      calls
        .filter(({ addresses = [] }) => {
          const ranges = addresses.map(parseCidr)
          return ranges.some((range) => !range || range.prefix < 8 || inside.some((own) => overlaps(own, range)))
        })
        .map(shown),
      {
        id: 'landing-zone.egress-range',
        severity: 'blocker',
        title: 'An address of a partner is private, of the old site, no range, or most of the internet.',
        remedy: 'Write public ranges of /8 or longer; what stands inside is reached by calls, stores or the old site.',
      },
    ),
    ...findingOn(extras?.firewall && calls.length === 0 ? ['landingZone.extras.firewall'] : [], {
      id: 'landing-zone.firewall-idle',
      severity: 'blocker',
      title: 'A firewall is asked for, and no service calls out: it would look at nothing.',
      remedy: 'Leave it out, or name the partners as egress of the services that call them.',
    }),
    ...findingOn(extras?.firewall ? calls.filter((call) => !call.addresses && !isTls(call)).map(shown) : [], {
      id: 'landing-zone.firewall-name-unseen',
      severity: 'risk',
      title: 'The firewall knows a partner by the name that TLS or HTTP says; on this port there may be none.',
      remedy: 'Give `addresses` as well where the partner speaks neither (SFTP, ISO 8583): else its calls are dropped.',
    }),
  ]
}

/** A group of machines fetches patches and images from S3: its rule names the list of the region. */
function s3Findings({ region, s3PrefixList }: LandingZone): Finding[] {
  return findingOn(s3PrefixList || regionFacts[region]?.s3PrefixList ? [] : [region], {
    id: 'landing-zone.s3-list-unknown',
    severity: 'blocker',
    title: 'The list of S3 addresses of the region is not known here, and without it no machine gets patches.',
    remedy: `Write its id as landingZone.s3PrefixList: aws ec2 describe-prefix-lists --filters Name=prefix-list-name,Values=com.amazonaws.${region}.s3`,
  })
}
