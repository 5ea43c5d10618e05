import type { Blueprint } from '../plan/blueprint.ts'

/**
 * What people do for a Direct Connect line, in order, with room for the day: nothing of it can be generated. Null where
 * no line was asked for.
 */
export function lineChecklist({ onPremises, estate, environment, settings }: Blueprint): string | null {
  const line = onPremises?.directConnect
  if (!line) return null
  const isHosted = line.connection === 'hosted'
  const steps = [
    isHosted
      ? `Order a hosted connection of ${line.bandwidth} at ${line.location} from a partner`
      : `Order a dedicated connection of ${line.bandwidth} at ${line.location}`,
    isHosted
      ? 'Accept the hosted connection in the account'
      : 'Download the letter of authorisation (LOA-CFA) and give it to the provider of the cross-connect',
    'Cross-connect is ready; light levels measured on both ends',
    line.macsec
      ? 'MACsec key pair (CKN, CAK) is entered on both ends; the link says encrypted'
      : 'A private-IP VPN over the line encrypts, or a reason why not is written down',
    `Transit interface: VLAN ${line.vlan}, AS ${onPremises.asn}, jumbo frames 8500; the session is up`,
    `Only ${settings.network} is announced to the old site, only ${onPremises.networks.join(', ')} to AWS`,
    'BFD is on at the router (AWS answers by itself): 300 ms, three misses',
    'Acceptance: 24 hours without loss; throughput measured; the line is cut, traffic goes over the VPN and comes back',
    'Maintenance notices of AWS and of the provider reach the incident address',
  ]
  return [
    `# Direct Connect for ${estate}, ${environment}`,
    '',
    line.reason,
    '',
    '| Step | Who | Ordered | Done |',
    '|---|---|---|---|',
    ...steps.map((step) => `| ${step} | | | |`),
    '',
  ].join('\n')
}
