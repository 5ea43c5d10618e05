import * as ec2 from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import type { Watched } from './dashboards.ts'
import type { Network } from './network.ts'
import { serving } from './serving.ts'

export interface PeopleAccessOptions {
  readonly network: Network
  readonly securityGroupId: string
  readonly logGroupName: string
  readonly serverCertificateArn: string
}

/** A provider is known in its own account only: each account has one of the same name. */
function inAccount(arn: string, account: string): string {
  return arn.replace(/::\d{12}:/, `::${account}:`)
}

/** Client VPN for operators. The identity provider asks for the second factor; this end sees only who came. */
export class PeopleAccess extends Construct {
  readonly watched: readonly Watched[]

  constructor(scope: Construct, { onPremises, settings }: Blueprint, options: PeopleAccessOptions) {
    super(scope, 'PeopleAccess')
    serving(this, 'people.access')
    const { network, securityGroupId, logGroupName, serverCertificateArn } = options
    this.watched = []
    if (!onPremises?.people) return
    const { network: clientCidrBlock, samlProvider } = onPremises.people
    const endpoint = new ec2.CfnClientVpnEndpoint(this, 'Endpoint', {
      clientCidrBlock,
      serverCertificateArn,
      authenticationOptions: [
        {
          type: 'federated-authentication',
          federatedAuthentication: { samlProviderArn: inAccount(samlProvider, settings.account) },
        },
      ],
      connectionLogOptions: { enabled: true, cloudwatchLogGroup: logGroupName },
      vpcId: network.vpc.ref,
      securityGroupIds: [securityGroupId],
      splitTunnel: true,
      transportProtocol: 'udp',
      sessionTimeoutHours: 8,
      disconnectOnSessionTimeout: true,
    })
    for (const [index, subnetId] of network.subnetIds('app').slice(0, 2).entries()) {
      new ec2.CfnClientVpnTargetNetworkAssociation(this, `Association${index + 1}`, {
        clientVpnEndpointId: endpoint.ref,
        subnetId,
      })
    }
    new ec2.CfnClientVpnAuthorizationRule(this, 'Rule', {
      clientVpnEndpointId: endpoint.ref,
      targetNetworkCidr: settings.network,
      authorizeAllGroups: true,
      description: 'All whom the identity provider lets in; it keeps the group of operators.',
    })
    this.watched = [
      {
        kind: 'way',
        name: 'people',
        namespace: 'AWS/ClientVPN',
        dimensions: [{ name: 'Endpoint', value: endpoint.ref }],
        metrics: [
          { name: 'AuthenticationFailures', title: 'Refused sign-ins', statistic: 'Sum', alarm: { above: 5 } },
          { name: 'ActiveConnectionsCount', title: 'People inside', statistic: 'Maximum' },
        ],
      },
    ]
  }
}
