import { aboutEach, all, at, expecting, inProduction, missing, type Rule } from './rule.ts'

/** Availability: what the loss of a zone, a machine or a primary must not stop. */
export const availabilityRules: readonly Rule[] = [
  {
    id: 'zones-used',
    pci: [],
    wants: 'Each tier has its subnet in every zone that it should stand in.',
    violations: (graph, { subnets }) => {
      const built = graph.ofType('AWS::EC2::Subnet').map(({ properties }) => properties.CidrBlock)
      return subnets
        .filter(({ cidr }) => !built.includes(cidr))
        .map(({ tier, zone }) => ({ at: `${tier} ${zone}`, what: 'has no subnet' }))
    },
  },
  {
    id: 'nat-per-zone',
    pci: [],
    wants: 'In production the loss of a zone takes nobody else’s way out.',
    violations: (graph, { natZones, isProduction, settings }) => {
      if (!isProduction || settings.nat === 'one') return []
      const gateways = graph.ofType('AWS::EC2::NatGateway').length
      return gateways === natZones.length ? [] : [{ at: 'network', what: `${gateways} gateways` }]
    },
  },
  aboutEach({
    id: 'relational-standby',
    pci: [],
    wants: 'In production a relational store has a standby in another zone.',
    types: ['AWS::RDS::DBInstance'],
    when: inProduction,
    wrong: expecting({ MultiAZ: true }),
  }),
  aboutEach({
    id: 'cache-standby',
    pci: [],
    wants: 'In production the cache fails over to a replica in another zone by itself.',
    types: ['AWS::ElastiCache::ReplicationGroup'],
    when: inProduction,
    wrong: all(expecting({ AutomaticFailoverEnabled: true, MultiAZEnabled: true }), ({ ReplicasPerNodeGroup }) =>
      Number(ReplicasPerNodeGroup) >= 1 ? undefined : 'has no replica',
    ),
  }),
  aboutEach({
    id: 'broker-pair',
    pci: [],
    wants: 'In production a broker stands in more than one zone.',
    types: ['AWS::AmazonMQ::Broker'],
    when: inProduction,
    wrong: ({ DeploymentMode, SubnetIds }) => {
      const isPair = DeploymentMode === 'ACTIVE_STANDBY_MULTI_AZ' || DeploymentMode === 'CLUSTER_MULTI_AZ'
      return isPair && Number(at(SubnetIds, 'length')) >= 2 ? undefined : 'stands in one zone'
    },
  }),
  {
    id: 'documents-in-every-zone',
    pci: [],
    wants: 'In production DocumentDB has an instance in every zone.',
    violations: (graph, { isProduction, zones }) => {
      if (!isProduction) return []
      return graph.ofType('AWS::DocDB::DBCluster').flatMap((cluster) => {
        const members = graph.usersOf(cluster).filter(({ type }) => type === 'AWS::DocDB::DBInstance').length
        return members >= zones.length ? [] : [{ at: cluster.id, what: `${members} instances` }]
      })
    },
  },
  {
    id: 'share-in-every-zone',
    pci: [],
    wants: 'A share is reached in every zone; in production one for Windows is a pair over two.',
    violations: (graph, { isProduction, zones }) => [
      ...graph.ofType('AWS::EFS::FileSystem').flatMap((share) => {
        const mounts = graph.usersOf(share).filter(({ type }) => type === 'AWS::EFS::MountTarget').length
        const isRegional = share.properties.AvailabilityZoneName === undefined
        return isRegional && mounts >= zones.length ? [] : [{ at: share.id, what: `${mounts} mount targets` }]
      }),
      ...graph
        .ofType('AWS::FSx::FileSystem')
        .filter(
          ({ properties }) => isProduction && at(properties, 'WindowsConfiguration.DeploymentType') !== 'MULTI_AZ_1',
        )
        .map(({ id }) => ({ at: id, what: 'stands in one zone' })),
    ],
  },
  aboutEach({
    id: 'search-masters',
    pci: [],
    wants: 'In production search has a node in every zone and three masters that do nothing else.',
    types: ['AWS::OpenSearchService::Domain'],
    when: inProduction,
    wrong: all(
      expecting({
        'ClusterConfig.ZoneAwarenessEnabled': true,
        'ClusterConfig.DedicatedMasterEnabled': true,
        'ClusterConfig.DedicatedMasterCount': 3,
      }),
      ({ ClusterConfig }) => {
        const zones = Number(at(ClusterConfig, 'ZoneAwarenessConfig.AvailabilityZoneCount'))
        return Number(at(ClusterConfig, 'InstanceCount')) >= zones ? undefined : 'lacks a node in a zone'
      },
    ),
  }),
  aboutEach({
    id: 'group-heals',
    pci: [],
    wants: 'A machine that its balancer finds sick is replaced; in production one remains meanwhile.',
    types: ['AWS::AutoScaling::AutoScalingGroup'],
    atLeastOne: true,
    wrong: all(
      expecting({ HealthCheckType: 'ELB' }),
      missing('TargetGroupARNs.0', 'NotificationConfigurations.0'),
      ({ VPCZoneIdentifier }) => (Number(at(VPCZoneIdentifier, 'length')) >= 2 ? undefined : 'stands in one zone'),
    ),
  }),
  aboutEach({
    id: 'machine-metadata',
    pci: ['2.2.1', '6.2.4'],
    wants: 'A machine gives its credentials to sessions only, and to nobody behind it.',
    types: ['AWS::EC2::LaunchTemplate'],
    atLeastOne: true,
    wrong: expecting({
      'LaunchTemplateData.MetadataOptions.HttpTokens': 'required',
      'LaunchTemplateData.MetadataOptions.HttpPutResponseHopLimit': 1,
      'LaunchTemplateData.Monitoring.Enabled': true,
    }),
  }),
  aboutEach({
    id: 'no-machine-keys',
    pci: ['8.2.2', '2.2.7'],
    wants: 'Nobody logs in with a key of a machine: administration goes through Session Manager.',
    types: ['AWS::EC2::LaunchTemplate', 'AWS::EC2::Instance'],
    wrong: ({ KeyName, LaunchTemplateData }) =>
      (KeyName ?? at(LaunchTemplateData, 'KeyName')) ? 'has a key' : undefined,
  }),
  aboutEach({
    id: 'rehosted-recovers',
    pci: [],
    wants: 'A rehosted machine cannot be terminated in passing.',
    types: ['AWS::EC2::Instance'],
    wrong: expecting({ DisableApiTermination: true }),
  }),
  aboutEach({
    id: 'machine-recovers',
    pci: [],
    wants: 'A machine that nothing replaces is moved to another host by AWS when its own fails.',
    types: ['AWS::EC2::Instance'],
    wrong: (_, machine, graph) => {
      const alarms = graph.usersOf(machine).filter(({ type }) => type === 'AWS::CloudWatch::Alarm')
      const recovers = alarms.some(
        ({ properties }) =>
          properties.MetricName === 'StatusCheckFailed_System' &&
          JSON.stringify(properties.AlarmActions).includes(':ec2:recover'),
      )
      return recovers ? undefined : 'has no alarm that recovers it'
    },
  }),
  {
    id: 'state-stays',
    pci: [],
    wants: 'Machines of a service that keeps state are never replaced, and their disks outlive them.',
    violations: (graph, { services }) =>
      services
        .filter(({ stateful }) => stateful)
        .flatMap(({ name }) => {
          const own = graph.resources.filter(({ serves }) => serves[0] === `service.${name}`)
          const replaced = own.filter(({ type }) => type === 'AWS::AutoScaling::AutoScalingGroup')
          const lost = own.filter(
            ({ properties }) =>
              at(properties, 'LaunchTemplateData.BlockDeviceMappings.0.Ebs.DeleteOnTermination') === true,
          )
          return [
            ...replaced.map(({ id }) => ({ at: id, what: 'replaces machines with state' })),
            ...lost.map(({ id }) => ({ at: id, what: 'deletes disks with state' })),
          ]
        }),
  },
  aboutEach({
    id: 'group-renewed',
    pci: ['6.3.3'],
    wants: 'Machines without state and without an image of their own are replaced by fresh ones every week.',
    types: ['AWS::AutoScaling::AutoScalingGroup'],
    wrong: ({ LaunchTemplate }, group, graph) => {
      const template = graph.named(at(LaunchTemplate, 'LaunchTemplateId'))[0]
      const image = String(at(template?.properties, 'LaunchTemplateData.ImageId'))
      const clock = graph.usersOf(group).find(({ type }) => type === 'AWS::Scheduler::Schedule')
      const target = String(at(clock?.properties, 'Target.Arn'))
      return image.startsWith('ami-') || target.endsWith(':startInstanceRefresh') ? undefined : 'grows old'
    },
  }),
]
