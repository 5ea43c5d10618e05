/**
 * One environment in one phase as a CDK app. Stacks follow the life of things: what is built once, the network, what
 * keeps data, what runs, what moves data and then goes, what watches. Needs neither account nor network to synthesise.
 */
import { App, Aspects, Aws, DefaultStackSynthesizer, type IStackSynthesizer, Stack, Tags } from 'aws-cdk-lib'
import type { CloudAssembly } from 'aws-cdk-lib/cx-api'
import { PaymentCanary } from '../constructs/canary.ts'
import { Dashboards, type Watched, watchedService } from '../constructs/dashboards.ts'
import { Detection, Trail } from '../constructs/detection.ts'
import { Names, WebFilter } from '../constructs/edge.ts'
import { EgressControl, flowLog } from '../constructs/egress-control.ts'
import { EgressFirewall } from '../constructs/egress-firewall.ts'
import { EgressWatch } from '../constructs/egress-watch.ts'
import { Endpoints } from '../constructs/endpoints.ts'
import { Incidents } from '../constructs/incidents.ts'
import { Keys } from '../constructs/keys.ts'
import { Logs } from '../constructs/logs.ts'
import { MigrationPlane } from '../constructs/migration-plane.ts'
import { Network } from '../constructs/network.ts'
import { PeopleAccess } from '../constructs/people-access.ts'
import { Backups, Experiments, Patching } from '../constructs/resilience.ts'
import { SecurityGroups } from '../constructs/security-groups.ts'
import { Service } from '../constructs/service.ts'
import { RecordServing } from '../constructs/serving.ts'
import { SiteLink } from '../constructs/site-link.ts'
import { WayOut } from '../constructs/way-out.ts'
import type { Blueprint, PlannedService } from '../plan/blueprint.ts'
import { buildStore } from './stores.ts'

export const stackNames = ['foundation', 'network', 'stores', 'services', 'migration', 'operations'] as const
export type StackName = (typeof stackNames)[number]

/** Writes the cloud assembly to `outdir`. Throws where a resource serves no requirement. */
export function synthesize(blueprint: Blueprint, outdir: string): CloudAssembly {
  return buildApp(blueprint, outdir).synth()
}

export function buildApp(blueprint: Blueprint, outdir: string): App {
  const app = new App({ outdir, analyticsReporting: false, treeMetadata: false })
  addEnvironment(app, blueprint)
  return app
}

/** For an app of one's own, such as an ejected project: all stacks of one environment. */
export function addEnvironment(app: App, blueprint: Blueprint): void {
  Aspects.of(app).add(new RecordServing())
  Tags.of(app).add('replatform:environment', blueprint.environment)
  new Environment(app, blueprint).build()
}

class Environment {
  readonly #app: App
  readonly #blueprint: Blueprint
  readonly #watched: Watched[] = []

  constructor(app: App, blueprint: Blueprint) {
    this.#app = app
    this.#blueprint = blueprint
  }

  build(): void {
    const foundation = this.#foundation()
    const network = this.#network(foundation)
    this.#stores(foundation, network)
    this.#services(foundation, network)
    if (this.#blueprint.onPremises && this.#blueprint.phase !== 'finalized') this.#migration(foundation, network)
    this.#operations(foundation, network)
  }

  #stack(name: StackName): Stack {
    const { estate, environment, region, settings } = this.#blueprint
    return new Stack(this.#app, name, {
      stackName: `${estate}-${environment}-${name}`,
      env: { account: settings.account, region },
      // No bootstrap is asked for: templates go to CloudFormation as they are.
      synthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }) as IStackSynthesizer,
      terminationProtection: this.#blueprint.isProduction && name !== 'migration',
    })
  }

  #foundation() {
    const stack = this.#stack('foundation')
    const keys = new Keys(stack)
    const logs = new Logs(stack, this.#blueprint, keys.arn('logs'))
    const incidents = new Incidents(stack, this.#blueprint, keys.arn('logs'))
    if (this.#blueprint.ownsAccount) {
      new Trail(stack, this.#prefix, logs, keys.arn('logs'))
      new Detection(stack, logs, keys.arn('logs'))
      incidents.watch(logs)
    }
    incidents.watchCost(this.#blueprint)
    return { keys, logs, incidents }
  }

  #network({ logs, incidents }: Foundation) {
    const stack = this.#stack('network')
    const network = new Network(stack, this.#blueprint)
    const natGatewayIds = this.#wayOut(stack, network, { logs, incidents })
    const groups = new SecurityGroups(stack, this.#blueprint, network.vpc.ref)
    const names = new Names(stack, this.#blueprint)
    flowLog(network, logs.arn('flows'), logs.writerRoleArn)
    new Endpoints(stack, this.#blueprint, network, groups.id('endpoints'))
    new EgressControl(stack, this.#blueprint, network)
    new EgressWatch(stack, { network, natGatewayIds }, logs, incidents.topicArn)
    if (this.#blueprint.onPremises) {
      this.#watched.push(...new SiteLink(stack, this.#blueprint, network, logs.arn('tunnels')).watched)
    }
    if (this.#blueprint.onPremises?.people) {
      const people = new PeopleAccess(stack, this.#blueprint, {
        network,
        securityGroupId: groups.id('people'),
        logGroupName: logs.name('people'),
        serverCertificateArn: names.certificateArn,
      })
      this.#watched.push(...people.watched)
    }
    return { network, groups, names }
  }

  #wayOut(stack: Stack, network: Network, { logs, incidents }: Pick<Foundation, 'logs' | 'incidents'>): string[] {
    const { natZones, firewallZones } = this.#blueprint
    if (natZones.length === 0) return []
    const firewall =
      firewallZones.length > 0
        ? new EgressFirewall(stack, this.#blueprint, {
            network,
            flowLogName: logs.name('firewall-flows'),
            alertLogName: logs.name('firewall-alerts'),
            incidentsArn: incidents.topicArn,
          })
        : undefined
    return new WayOut(stack, this.#blueprint, network, firewall).gatewayIds
  }

  #stores({ keys, logs, incidents }: Foundation, { network, groups }: Connected): void {
    const stack = this.#stack('stores')
    for (const store of this.#blueprint.stores) {
      const watched = buildStore(stack, store, {
        blueprint: this.#blueprint,
        subnetIds: network.subnetIds('data'),
        securityGroupId: store.form === 's3' ? '' : groups.id(`store:${store.name}`),
        vpcId: network.vpc.ref,
        keyArn: keys.arn('stores'),
        secretsKeyArn: keys.arn('secrets'),
        logsKeyArn: keys.arn('logs'),
        incidentsArn: incidents.topicArn,
        servicesLogName: logs.name('services'),
        accessLogs: logs.accessLogs,
      })
      this.#watched.push(watched)
    }
  }

  #services({ keys, logs, incidents }: Foundation, { network, groups, names }: Connected): void {
    const stack = this.#stack('services')
    const services = this.#blueprint.services.map((planned) => {
      const service = new Service(stack, planned, {
        blueprint: this.#blueprint,
        vpcId: network.vpc.ref,
        publicSubnetIds: network.subnetIds('public'),
        appSubnetIds: network.subnetIds('app'),
        serviceGroupId: groups.id(`service:${planned.name}`),
        balancerGroupId: groups.id(`balancer:${planned.name}`),
        disksKeyArn: keys.arn('disks'),
        certificateArn: names.certificateArn,
        accessLogsBucket: logs.accessLogs.ref,
        servicesLogName: logs.name('services'),
        incidentsArn: incidents.topicArn,
      })
      this.#watched.push(watchedService(service))
      return service
    })
    const planned = this.#blueprint.services
    for (const [index, { balancer }] of services.entries()) {
      const joining = balancer.route(planned[index] as PlannedService, planned)
      for (const service of services) {
        const targets = joining.get(service.name)
        if (targets) service.join(targets)
      }
    }
    new WebFilter(stack, this.#blueprint, services, logs.arn('waf'))
    for (const service of services) {
      const { host } = this.#blueprint.services.find(({ name }) => name === service.name) ?? {}
      names.point(stack, host ?? `${service.name}.${this.#blueprint.settings.domain}`, service)
    }
  }

  #migration({ keys, logs }: Foundation, { network, groups }: Connected): void {
    new MigrationPlane(this.#stack('migration'), this.#blueprint, {
      appSubnetIds: network.subnetIds('app'),
      dataSubnetIds: network.subnetIds('data'),
      securityGroupId: groups.id('migration'),
      keyArn: keys.arn('stores'),
      secretsKeyArn: keys.arn('secrets'),
      servicesLogName: logs.name('services'),
    })
  }

  #operations({ keys, logs, incidents }: Foundation, { network }: Connected): void {
    const stack = this.#stack('operations')
    const front = this.#blueprint.services.find(({ from, health }) => from.includes('internet') && health)
    if (front) this.#watched.push(this.#canary(stack, front, { keys, logs }).watched)
    const dashboards = new Dashboards(stack, this.#prefix, this.#watched, incidents.topicArn)
    new Backups(stack, this.#blueprint, keys.arn('stores'))
    new Patching(stack, this.#blueprint)
    // Where nobody comes from outside, the first service tells whether anybody suffers.
    const guard = front ?? this.#blueprint.services[0]
    const stopAlarmArn = guard && dashboards.alarmArn(guard.name, 'HTTPCode_Target_5XX_Count')
    if (!this.#blueprint.isProduction || !stopAlarmArn) return
    const arn = (service: string, resource: string) =>
      `arn:${Aws.PARTITION}:${service}:${Aws.REGION}:${Aws.ACCOUNT_ID}:${resource}`
    new Experiments(stack, {
      subnetArns: network.subnetIdsOfZone(0).map((id) => arn('ec2', `subnet/${id}`)),
      databaseArns: this.#watched
        .flatMap(({ dimensions }) => dimensions)
        .filter(({ name }) => name === 'DBInstanceIdentifier')
        .map(({ value }) => arn('rds', `db:${value}`)),
      stopAlarmArn,
    })
  }

  #canary(stack: Stack, service: PlannedService, { keys, logs }: Pick<Foundation, 'keys' | 'logs'>): PaymentCanary {
    const { name, host, health } = service
    const { domain } = this.#blueprint.settings
    return new PaymentCanary(stack, this.#prefix, {
      service: name,
      host: host ?? `${name}.${domain}`,
      path: health ?? '/',
      keyArn: keys.arn('logs'),
      accessLogs: logs.accessLogs,
    })
  }

  get #prefix(): string {
    return `${this.#blueprint.estate}-${this.#blueprint.environment}`
  }
}

type Foundation = { readonly keys: Keys; readonly logs: Logs; readonly incidents: Incidents }
type Connected = { readonly network: Network; readonly groups: SecurityGroups; readonly names: Names }
