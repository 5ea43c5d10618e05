import type { DirectConnect } from '@replatform/core/landing-zone-estate'
import { CfnParameter, Stack } from 'aws-cdk-lib'
import * as dx from 'aws-cdk-lib/aws-directconnect'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import type { Watched } from './dashboards.ts'
import type { Network } from './network.ts'
import { serving } from './serving.ts'

/** AWS's side of the sessions; a private AS number that the old site does not use. */
export const amazonAsn = 64_512

/**
 * The way to the old site: a tunnel pair to each of its routers. A virtual private gateway is enough for one VPC and
 * costs nothing by itself; a transit gateway stands in its place where Direct Connect or another requirement asks for it.
 */
export class SiteLink extends Construct {
  /** A pair of tunnels for each router of the old site. */
  readonly watched: readonly Watched[]

  constructor(scope: Construct, blueprint: Blueprint, network: Network, tunnelLogArn: string) {
    super(scope, 'SiteLink')
    serving(this, 'network.on-premises')
    const { onPremises, extras } = blueprint
    if (!onPremises) {
      this.watched = []
      return
    }
    const hub =
      extras.transitGateway || onPremises.directConnect
        ? this.#transit(blueprint, network)
        : this.#privateGateway(network)
    this.watched = onPremises.vpn.peers.map((address, index) => {
      const router = new ec2.CfnCustomerGateway(this, `Router${index + 1}`, {
        type: 'ipsec.1',
        bgpAsn: onPremises.asn,
        ipAddress: address,
      })
      const connection = new ec2.CfnVPNConnection(this, `Vpn${index + 1}`, {
        type: 'ipsec.1',
        customerGatewayId: router.ref,
        staticRoutesOnly: false,
        ...hub,
        vpnTunnelOptionsSpecifications: [1, 2].map((tunnel) => tunnelOptions(index, tunnel, tunnelLogArn)),
      })
      return watchedTunnels(index, connection.ref)
    })
    if (onPremises.directConnect && 'transitGatewayId' in hub) this.#line(blueprint, hub.transitGatewayId as string)
  }

  #privateGateway(network: Network): { vpnGatewayId: string } {
    const gateway = new ec2.CfnVPNGateway(this, 'PrivateGateway', { type: 'ipsec.1', amazonSideAsn: amazonAsn })
    const attachment = new ec2.CfnVPCGatewayAttachment(this, 'Attachment', {
      vpcId: network.vpc.ref,
      vpnGatewayId: gateway.ref,
    })
    new ec2.CfnVPNGatewayRoutePropagation(this, 'Routes', {
      vpnGatewayId: gateway.ref,
      routeTableIds: network.routeTableIds('app', 'public'),
    }).addResourceDependency(attachment)
    return { vpnGatewayId: gateway.ref }
  }

  #transit({ onPremises }: Blueprint, network: Network): { transitGatewayId: string } {
    const gateway = new ec2.CfnTransitGateway(this, 'TransitGateway', {
      amazonSideAsn: amazonAsn,
      // CloudFormation knows no attachment of a VPN or a line, so that nothing else could join them to a table. The
      // gateway is one environment's own: what joins by itself are its VPC, its tunnels and its line.
      defaultRouteTableAssociation: 'enable',
      defaultRouteTablePropagation: 'enable',
      autoAcceptSharedAttachments: 'disable',
      dnsSupport: 'enable',
      vpnEcmpSupport: 'enable',
    })
    const attachment = new ec2.CfnTransitGatewayAttachment(this, 'VpcAttachment', {
      transitGatewayId: gateway.ref,
      vpcId: network.vpc.ref,
      subnetIds: network.subnetIds('app'),
    })
    for (const [index, range] of (onPremises?.networks ?? []).entries()) {
      for (const [tableIndex, routeTableId] of network.routeTableIds('app', 'public').entries()) {
        new ec2.CfnRoute(this, `ToSite${index}N${tableIndex}`, {
          routeTableId,
          destinationCidrBlock: range,
          transitGatewayId: gateway.ref,
        }).addResourceDependency(attachment)
      }
    }
    return { transitGatewayId: gateway.ref }
  }

  /** The line itself is ordered by people: see the checklist. What can be described is described here. */
  #line({ onPremises, settings, estate, region }: Blueprint, transitGatewayId: string): void {
    const line = onPremises?.directConnect
    if (!line) return
    const scope = serving(new Construct(this, 'DirectConnect'), 'network.direct-connect')
    const gateway = new dx.CfnDirectConnectGateway(scope, 'Gateway', {
      directConnectGatewayName: `${estate}-${region}`,
      amazonSideAsn: String(amazonAsn + 1),
    })
    new dx.CfnDirectConnectGatewayAssociation(scope, 'Association', {
      directConnectGatewayId: gateway.ref,
      associatedGatewayId: transitGatewayId,
      allowedPrefixesToDirectConnectGateway: [settings.network],
    })
    new dx.CfnTransitVirtualInterface(scope, 'Interface', {
      virtualInterfaceName: `${estate}-transit`,
      connectionId: this.#connection(scope, line, estate),
      directConnectGatewayId: gateway.ref,
      vlan: line.vlan,
      mtu: 8_500,
      bgpPeers: [{ addressFamily: 'ipv4', asn: String(onPremises?.asn) }],
    })
  }

  /** A hosted connection is made by the partner who sells it: its id is asked for when the stack is deployed. */
  #connection(scope: Construct, line: DirectConnect, estate: string): string {
    if (line.connection === 'hosted') {
      const description = `The hosted connection of ${line.bandwidth} at ${line.location}, accepted in this account`
      return new CfnParameter(Stack.of(scope), 'HostedConnectionId', { type: 'String', description }).valueAsString
    }
    return new dx.CfnConnection(scope, 'Connection', {
      bandwidth: line.bandwidth,
      connectionName: `${estate}-${line.location}`,
      location: line.location,
      // That the link must encrypt is set once its keys are there: CloudFormation knows no such property.
      ...(line.macsec ? { requestMacSec: true } : {}),
    }).ref
  }
}

/** Below one when a tunnel of the pair is down (Site-to-Site VPN user guide, "Amazon CloudWatch metrics"). */
function watchedTunnels(index: number, connection: string): Watched {
  return {
    kind: 'way',
    name: `tunnels-${index + 1}`,
    namespace: 'AWS/VPN',
    dimensions: [{ name: 'VpnId', value: connection }],
    metrics: [
      { name: 'TunnelState', title: 'Tunnels up, of one', statistic: 'Average', alarm: { below: 1 } },
      { name: 'TunnelDataOut', title: 'Bytes to the old site', statistic: 'Sum' },
    ],
  }
}

/**
 * Strong suites only, both tunnels alike. Sources: AWS Site-to-Site VPN user guide, "Tunnel options". The default
 * after a lost peer is to give up (`clear`); here it starts anew. Inside ranges are fixed so that the other side can
 * be generated from the same description.
 */
function tunnelOptions(connection: number, tunnel: number, cloudWatchLogGroupArn: string) {
  const only = (value: string) => [{ value }]
  return {
    tunnelInsideCidr: tunnelInside(connection, tunnel),
    ikeVersions: only('ikev2'),
    phase1EncryptionAlgorithms: only('AES256-GCM-16'),
    phase2EncryptionAlgorithms: only('AES256-GCM-16'),
    phase1IntegrityAlgorithms: only('SHA2-384'),
    phase2IntegrityAlgorithms: only('SHA2-384'),
    phase1DhGroupNumbers: [{ value: 20 }],
    phase2DhGroupNumbers: [{ value: 20 }],
    dpdTimeoutAction: 'restart',
    dpdTimeoutSeconds: 30,
    startupAction: 'start',
    enableTunnelLifecycleControl: true,
    logOptions: {
      cloudwatchLogOptions: {
        logEnabled: true,
        logGroupArn: cloudWatchLogGroupArn,
        logOutputFormat: 'json',
        bgpLogEnabled: true,
        bgpLogGroupArn: cloudWatchLogGroupArn,
        bgpLogOutputFormat: 'json',
      },
    },
  }
}

/** Four addresses of 169.254.0.0/16 for each tunnel, outside of what AWS reserves (169.254.0.0/30 to 5.0/30). */
export function tunnelInside(connection: number, tunnel: number): string {
  return `169.254.${11 + connection}.${tunnel * 4}/30`
}
