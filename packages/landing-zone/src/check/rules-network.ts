import type { Properties } from '../template/template-graph.ts'
import { aboutEach, all, at, expecting, missing, type Rule } from './rule.ts'

/** Who reaches whom, and over what (PCI-DSS 4.0.1, 1 and 4). */
export const networkRules: readonly Rule[] = [
  aboutEach({
    id: 'subnet-no-public-address',
    pci: ['1.3.1', '1.4.4'],
    wants: 'No subnet gives its machines public addresses by itself.',
    types: ['AWS::EC2::Subnet'],
    atLeastOne: true,
    wrong: expecting({ MapPublicIpOnLaunch: false }),
  }),
  {
    id: 'data-without-way-out',
    pci: ['1.3.2', '1.4.4'],
    wants: 'Subnets that hold data have no route out: neither to the internet nor through NAT.',
    violations: (graph) => {
      const open = graph
        .ofType('AWS::EC2::Route')
        .filter(({ properties }) => properties.DestinationCidrBlock === '0.0.0.0/0')
        .flatMap(({ properties }) => graph.named(properties.RouteTableId))
        .filter(({ logicalId }) => logicalId.startsWith('NetworkData'))
      return open.map(({ id }) => ({ at: id, what: 'has a default route' }))
    },
  },
  aboutEach({
    id: 'rule-has-reason',
    pci: ['1.2.5', '1.2.6'],
    wants: 'Every rule of a security group names its business reason and one port.',
    types: ['AWS::EC2::SecurityGroupIngress', 'AWS::EC2::SecurityGroupEgress'],
    atLeastOne: true,
    wrong: all(missing('Description', 'FromPort'), ({ FromPort, ToPort, IpProtocol }) =>
      FromPort !== ToPort || IpProtocol === '-1' ? 'opens more than one port' : undefined,
    ),
  }),
  aboutEach({
    id: 'open-to-internet-only-443',
    pci: ['1.3.1', '1.4.2', '2.2.4'],
    wants: 'From the internet nothing but 443 is open.',
    types: ['AWS::EC2::SecurityGroupIngress'],
    wrong: ({ CidrIp, FromPort }) =>
      CidrIp === '0.0.0.0/0' && FromPort !== 443 ? `opens ${FromPort} to everybody` : undefined,
  }),
  aboutEach({
    id: 'group-closed-by-itself',
    pci: ['1.3.1', '1.3.2', '2.2.2'],
    wants: 'A security group brings no rule of its own that lets anything in or everything out.',
    types: ['AWS::EC2::SecurityGroup'],
    atLeastOne: true,
    wrong: ({ SecurityGroupIngress, SecurityGroupEgress }) => {
      if (Array.isArray(SecurityGroupIngress) && SecurityGroupIngress.length > 0) return 'lets something in by itself'
      const out = (SecurityGroupEgress ?? []) as readonly Properties[]
      const isClosed = out.length === 1 && out[0]?.CidrIp === '255.255.255.255/32'
      return isClosed ? undefined : 'lets everything out'
    },
  }),
  aboutEach({
    id: 'flow-log-of-everything',
    pci: ['10.2.1', '1.2.7'],
    wants: 'What crosses the network is logged, accepted or refused.',
    types: ['AWS::EC2::FlowLog'],
    atLeastOne: true,
    wrong: expecting({ TrafficType: 'ALL', ResourceType: 'VPC' }),
  }),
  aboutEach({
    id: 'endpoint-own-account',
    pci: ['1.3.2', '7.2.5'],
    wants: 'A private way to a service of AWS leads to this account only.',
    types: ['AWS::EC2::VPCEndpoint'],
    atLeastOne: true,
    wrong: ({ PolicyDocument, VpcEndpointType, PrivateDnsEnabled }) => {
      const text = JSON.stringify(PolicyDocument ?? '')
      if (!text.includes('aws:PrincipalAccount') && !text.includes('aws:ResourceAccount')) return 'leads to any account'
      return VpcEndpointType === 'Interface' && PrivateDnsEnabled !== true ? 'is not found by name' : undefined
    },
  }),
  aboutEach({
    id: 'egress-by-name',
    pci: ['1.3.2', '1.4.2'],
    wants: 'Names beyond the list of partners have no answer.',
    types: ['AWS::Route53Resolver::FirewallRuleGroup'],
    atLeastOne: true,
    wrong: ({ FirewallRules }) => {
      const last = ((FirewallRules ?? []) as readonly Properties[]).at(-1)
      return last?.Action === 'BLOCK' && last?.BlockResponse === 'NXDOMAIN' ? undefined : 'does not end with a refusal'
    },
  }),
  aboutEach({
    id: 'egress-guard-stays',
    pci: ['1.2.2'],
    wants: 'Nobody takes the guard of outgoing names off in passing.',
    types: ['AWS::Route53Resolver::FirewallRuleGroupAssociation'],
    atLeastOne: true,
    wrong: expecting({ MutationProtection: 'ENABLED' }),
  }),
  aboutEach({
    id: 'names-inside',
    pci: ['1.3.2'],
    wants: 'Names of private ways to AWS are answered inside the network.',
    types: ['AWS::EC2::VPC'],
    atLeastOne: true,
    wrong: expecting({ EnableDnsSupport: true, EnableDnsHostnames: true }),
  }),
  aboutEach({
    id: 'tunnel-suites',
    pci: ['4.2.1', '2.2.7'],
    wants: 'Both tunnels speak IKEv2 with AES-256-GCM and a strong group, route by BGP, start anew and keep a log.',
    types: ['AWS::EC2::VPNConnection'],
    when: ({ onPremises }) => onPremises !== null,
    atLeastOne: true,
    wrong: ({ VpnTunnelOptionsSpecifications, StaticRoutesOnly }) => {
      const tunnels = (VpnTunnelOptionsSpecifications ?? []) as readonly Properties[]
      if (tunnels.length !== 2) return 'has not described both tunnels'
      if (StaticRoutesOnly !== false) return 'does not route by BGP'
      return tunnels.map(tunnelWrong).find(Boolean)
    },
  }),
  aboutEach({
    id: 'people-second-factor',
    pci: ['8.4.2', '8.4.3'],
    wants:
      'People come in by the identity provider that asks for a second factor, for a day at most, and leave a trace.',
    types: ['AWS::EC2::ClientVpnEndpoint'],
    when: ({ onPremises }) => Boolean(onPremises?.people),
    atLeastOne: true,
    wrong: expecting({
      'AuthenticationOptions.0.Type': 'federated-authentication',
      'ConnectionLogOptions.Enabled': true,
      'DisconnectOnSessionTimeout': true,
    }),
  }),
  aboutEach({
    id: 'listener-tls',
    pci: ['4.2.1', '2.2.7'],
    wants: 'A balancer speaks TLS 1.2 or 1.3 with forward secrecy and nothing else.',
    types: ['AWS::ElasticLoadBalancingV2::Listener'],
    atLeastOne: true,
    wrong: ({ Protocol, SslPolicy, Certificates }) => {
      if (Protocol !== 'HTTPS' && Protocol !== 'TLS') return `speaks ${Protocol}`
      if (!Certificates) return 'has no certificate'
      return String(SslPolicy).startsWith('ELBSecurityPolicy-TLS13-1-2') ? undefined : 'has a policy with old suites'
    },
  }),
  aboutEach({
    id: 'targets-tls',
    pci: ['4.2.1'],
    wants: 'From the balancer to the machine it is TLS as well.',
    types: ['AWS::ElasticLoadBalancingV2::TargetGroup'],
    atLeastOne: true,
    wrong: ({ Protocol }) => (Protocol === 'HTTPS' || Protocol === 'TLS' ? undefined : `speaks ${Protocol}`),
  }),
  aboutEach({
    id: 'balancer-hardened',
    pci: ['6.4.2', '10.2.1', '2.2.6'],
    wants: 'A balancer logs every request; one for HTTP drops what is malformed and refuses ambiguous requests.',
    types: ['AWS::ElasticLoadBalancingV2::LoadBalancer'],
    atLeastOne: true,
    wrong: ({ LoadBalancerAttributes, Type, SecurityGroups }) => {
      const attributes = new Map(
        ((LoadBalancerAttributes ?? []) as { Key: string; Value: string }[]).map(({ Key, Value }) => [Key, Value]),
      )
      const wanted: Record<string, string> = {
        'access_logs.s3.enabled': 'true',
        ...(Type === 'application'
          ? {
              'routing.http.drop_invalid_header_fields.enabled': 'true',
              'routing.http.desync_mitigation_mode': 'strictest',
            }
          : {}),
      }
      if (!SecurityGroups) return 'has no security group'
      const off = Object.entries(wanted).find(([key, value]) => attributes.get(key) !== value)
      return off && `${off[0]} is not ${off[1]}`
    },
  }),
  {
    id: 'public-http-filtered',
    pci: ['6.4.2'],
    wants: 'A web filter stands in front of every public HTTP balancer, keeps a log, and hides credentials in it.',
    violations: (graph) => {
      const filtered = graph
        .ofType('AWS::WAFv2::WebACLAssociation')
        .flatMap(({ properties }) => graph.named(properties.ResourceArn))
      const open = graph
        .ofType('AWS::ElasticLoadBalancingV2::LoadBalancer')
        .filter(({ properties }) => properties.Scheme === 'internet-facing' && properties.Type === 'application')
      const unfiltered = open.filter((balancer) => !filtered.includes(balancer))
      const log = graph.ofType('AWS::WAFv2::LoggingConfiguration')[0]
      const hides = JSON.stringify(log?.properties.RedactedFields ?? '')
      return [
        ...unfiltered.map(({ id }) => ({ at: id, what: 'no filter in front' })),
        ...(open.length > 0 && !hides.includes('authorization')
          ? [{ at: 'filter', what: 'its log does not hide credentials' }]
          : []),
      ]
    },
  },
  aboutEach({
    id: 'filter-rules',
    pci: ['6.4.2'],
    wants: 'The filter blocks by the lists that AWS keeps and limits the rate by address.',
    types: ['AWS::WAFv2::WebACL'],
    wrong: ({ Rules }) => {
      const rules = (Rules ?? []) as readonly Properties[]
      const names = rules.map(({ Name }) => Name)
      const wanted = [
        'AWSManagedRulesCommonRuleSet',
        'AWSManagedRulesSQLiRuleSet',
        'AWSManagedRulesKnownBadInputsRuleSet',
      ]
      const lacks = wanted.find((name) => !names.includes(name))
      if (lacks) return `lacks ${lacks}`
      if (!rules.some((rule) => at(rule, 'Statement.RateBasedStatement') && at(rule, 'Action.Block')))
        return 'has no limit by address'
      return rules.some((rule) => at(rule, 'OverrideAction.Count')) ? 'only counts' : undefined
    },
  }),
]

function tunnelWrong(tunnel: Properties): string | undefined {
  return expecting({
    'IKEVersions.0.Value': 'ikev2',
    'Phase1EncryptionAlgorithms.0.Value': 'AES256-GCM-16',
    'Phase2EncryptionAlgorithms.0.Value': 'AES256-GCM-16',
    'Phase1DHGroupNumbers.0.Value': 20,
    'Phase2DHGroupNumbers.0.Value': 20,
    'DPDTimeoutAction': 'restart',
    'EnableTunnelLifecycleControl': true,
    'LogOptions.CloudwatchLogOptions.LogEnabled': true,
    'LogOptions.CloudwatchLogOptions.BgpLogEnabled': true,
  })(tunnel, undefined as never, undefined as never)
}
