import type { Properties } from '../template/template-graph.ts'
import { aboutEach, all, at, expecting, missing, type Rule } from './rule.ts'

/** Logs, detection and alarms (PCI-DSS 4.0.1, 5, 10 to 12). */
export const watchRules: readonly Rule[] = [
  aboutEach({
    id: 'trail-complete',
    pci: ['10.2.1', '10.3.2', '10.3.4'],
    wants: 'The audit trail covers all regions, is validated, encrypted, and searched.',
    types: ['AWS::CloudTrail::Trail'],
    when: ({ ownsAccount }) => ownsAccount,
    atLeastOne: true,
    wrong: all(
      expecting({
        IsLogging: true,
        IsMultiRegionTrail: true,
        IncludeGlobalServiceEvents: true,
        EnableLogFileValidation: true,
      }),
      missing('KMSKeyId', 'CloudWatchLogsLogGroupArn'),
    ),
  }),
  {
    id: 'trail-locked',
    pci: ['10.3.2', '10.5.1'],
    wants: 'Files of the trail cannot be changed for twelve months.',
    violations: (graph, { ownsAccount }) => {
      if (!ownsAccount) return []
      const bucket = graph
        .ofType('AWS::CloudTrail::Trail')
        .flatMap(({ properties }) => graph.named(properties.S3BucketName))[0]
      const days = Number(at(bucket?.properties, 'ObjectLockConfiguration.Rule.DefaultRetention.Days'))
      const mode = at(bucket?.properties, 'ObjectLockConfiguration.Rule.DefaultRetention.Mode')
      const isLocked = bucket?.properties.ObjectLockEnabled === true
      return isLocked && days >= 365 && mode === 'COMPLIANCE'
        ? []
        : [{ at: bucket?.id ?? 'trail', what: 'is not locked for a year' }]
    },
  },
  aboutEach({
    id: 'logs-kept',
    pci: ['10.5.1', '10.3.1'],
    wants: 'Logs are kept for twelve months, encrypted under the company’s key.',
    types: ['AWS::Logs::LogGroup'],
    atLeastOne: true,
    wrong: all(missing('KmsKeyId'), ({ RetentionInDays }) =>
      Number(RetentionInDays) >= 365 ? undefined : 'is kept for less than a year',
    ),
  }),
  aboutEach({
    id: 'threats-detected',
    pci: ['5.2.1', '11.5.1', '10.4.1.1'],
    wants: 'Threats are looked for in storage, on disks, at databases and on machines.',
    types: ['AWS::GuardDuty::Detector'],
    when: ({ ownsAccount }) => ownsAccount,
    atLeastOne: true,
    wrong: ({ Enable, Features, FindingPublishingFrequency }) => {
      const on = ((Features ?? []) as Properties[]).filter(({ Status }) => Status === 'ENABLED').map(({ Name }) => Name)
      const wanted = ['S3_DATA_EVENTS', 'EBS_MALWARE_PROTECTION', 'RDS_LOGIN_EVENTS', 'RUNTIME_MONITORING']
      const off = wanted.find((name) => !on.includes(name))
      if (Enable !== true || off) return `${off ?? 'the detector'} is off`
      return FindingPublishingFrequency === 'FIFTEEN_MINUTES' ? undefined : 'reports late'
    },
  }),
  aboutEach({
    id: 'controls-checked',
    pci: ['2.2.1', '11.3.1', '12.4.2'],
    wants: 'Security Hub checks the account against PCI-DSS.',
    types: ['AWS::SecurityHub::Standard'],
    when: ({ ownsAccount }) => ownsAccount,
    atLeastOne: true,
    wrong: missing('StandardsArn'),
  }),
  {
    id: 'pci-standard-on',
    pci: ['12.4.2'],
    wants: 'The PCI-DSS standard of Security Hub is switched on.',
    violations: (graph, { ownsAccount }) => {
      const on = graph
        .ofType('AWS::SecurityHub::Standard')
        .some(({ properties }) => String(properties.StandardsArn).includes('/pci-dss/v/4'))
      return on || !ownsAccount ? [] : [{ at: 'security hub', what: 'no PCI-DSS 4 standard' }]
    },
  },
  aboutEach({
    id: 'configuration-recorded',
    pci: ['1.2.1', '11.5.2', '12.5.1'],
    wants: 'Every change of configuration is recorded, of global resources too.',
    types: ['AWS::Config::ConfigurationRecorder'],
    when: ({ ownsAccount }) => ownsAccount,
    atLeastOne: true,
    wrong: expecting({ 'RecordingGroup.AllSupported': true, 'RecordingGroup.IncludeGlobalResourceTypes': true }),
  }),
  {
    id: 'alerts-for-threats',
    pci: ['10.4.1', '10.7.2', '12.10.5'],
    wants:
      'Use of root, failed sign-ins, and changes of policies, keys, the network and the trail itself raise an alarm.',
    violations: (graph, { ownsAccount }) => {
      if (!ownsAccount) return []
      const watched = graph.ofType('AWS::CloudWatch::Alarm').map(({ properties }) => properties.MetricName)
      const wanted = ['RootUsed', 'SignInsFailed', 'PoliciesChanged', 'KeysDisabled', 'NetworkChanged', 'TrailChanged']
      const unseen = wanted.filter((name) => !watched.includes(name))
      return unseen.map((name) => ({ at: name, what: 'raises no alarm' }))
    },
  },
  {
    id: 'egress-watched',
    pci: ['10.4.1.1', '11.5.1', '1.4.2'],
    wants: 'Unusual amounts that leave and names beyond the list raise an alarm; every name asked for is kept.',
    violations: (graph) => {
      const alarms = graph.ofType('AWS::CloudWatch::Alarm')
      const bands = alarms.filter(({ properties }) => properties.ComparisonOperator === 'GreaterThanUpperThreshold')
      const unwatched = graph
        .ofType('AWS::EC2::NatGateway')
        .filter((gateway) => !bands.some(({ properties }) => graph.named(properties.Metrics).includes(gateway)))
      const isFiltered = graph
        .ofType('AWS::Logs::MetricFilter')
        .some(({ properties }) => String(properties.FilterPattern).includes('firewall_rule_action'))
      const isKept = graph.ofType('AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation').length > 0
      const isAlarmed = alarms.some(({ properties }) => properties.MetricName === 'NamesRefused')
      return [
        ...unwatched.map(({ id }) => ({ at: id, what: 'nobody knows what is usual' })),
        ...(isFiltered && isKept && isAlarmed ? [] : [{ at: 'names', what: 'refused names raise no alarm' }]),
      ]
    },
  },
  {
    id: 'logins-watched',
    pci: ['10.2.1', '10.4.1.1', '8.3.2'],
    wants: 'Logins that a store refuses raise an alarm, where its service tells of them.',
    violations: (graph) => {
      const alarms = graph
        .ofType('AWS::CloudWatch::Alarm')
        .filter(({ properties }) => properties.Namespace === 'StoreLogins')
      const named = new Set(alarms.map(({ properties }) => String(properties.MetricName)))
      const filtered = new Set(
        graph
          .ofType('AWS::Logs::MetricFilter')
          .map(({ properties }) => String(at(properties, 'MetricTransformations.0.MetricName'))),
      )
      const byLog = graph
        .ofType(...tellsInLogs)
        .filter(({ serves }) => !serves.includes('migration'))
        .filter(({ properties }) => {
          const name = String(
            properties.DBInstanceIdentifier ?? properties.DBClusterIdentifier ?? properties.DomainName,
          )
          const isNamed = (one: string) => one.startsWith(name)
          return ![...named].some(isNamed) || ![...filtered].some(isNamed)
        })
      const isCacheWatched = graph
        .ofType('AWS::CloudWatch::Alarm')
        .some(
          ({ properties }) =>
            properties.MetricName === 'AuthenticationFailures' && properties.Namespace === 'AWS/ElastiCache',
        )
      const caches = isCacheWatched ? [] : graph.ofType('AWS::ElastiCache::ReplicationGroup')
      return [...byLog, ...caches].map(({ id }) => ({ at: id, what: 'refuses in silence' }))
    },
  },
  {
    id: 'ways-in-watched',
    pci: ['10.7.2'],
    wants: 'A tunnel that is down and sign-ins that the client VPN refuses raise an alarm.',
    violations: (graph) => {
      const watched = graph
        .ofType('AWS::CloudWatch::Alarm')
        .flatMap(({ properties }) => graph.named(properties.Dimensions))
      return graph
        .ofType('AWS::EC2::VPNConnection', 'AWS::EC2::ClientVpnEndpoint')
        .filter((way) => !watched.includes(way))
        .map(({ id }) => ({ at: id, what: 'fails in silence' }))
    },
  },
  {
    id: 'dashboard-for-each',
    pci: [],
    wants: 'Each service and each store has a dashboard, and the estate one of its own.',
    violations: (graph, { services, stores, estate, environment }) => {
      const names = graph.ofType('AWS::CloudWatch::Dashboard').map(({ properties }) => properties.DashboardName)
      const prefix = `${estate}-${environment}`
      const wanted = [
        prefix,
        ...services.map(({ name }) => `${prefix}-service-${name}`),
        ...stores.map(({ name }) => `${prefix}-store-${name}`),
      ]
      return wanted.filter((name) => !names.includes(name)).map((name) => ({ at: name, what: 'has no dashboard' }))
    },
  },
  aboutEach({
    id: 'alarm-reaches-somebody',
    pci: ['10.7.3', '12.10.5'],
    wants: 'Every alarm goes to the incident topic.',
    types: ['AWS::CloudWatch::Alarm'],
    atLeastOne: true,
    wrong: ({ AlarmActions }, _, graph) =>
      graph.named(AlarmActions).some(({ type }) => type === 'AWS::SNS::Topic') ? undefined : 'goes nowhere',
  }),
  {
    id: 'topic-has-reader',
    pci: ['12.10.3'],
    wants: 'Somebody reads the incident topic, which is encrypted.',
    violations: (graph) => {
      const topics = graph.ofType('AWS::SNS::Topic')
      const unread = topics.filter(
        (topic) => !graph.usersOf(topic).some(({ type }) => type === 'AWS::SNS::Subscription'),
      )
      const clear = topics.filter(({ properties }) => !properties.KmsMasterKeyId)
      return [
        ...unread.map(({ id }) => ({ at: id, what: 'nobody reads it' })),
        ...clear.map(({ id }) => ({ at: id, what: 'is in clear' })),
      ]
    },
  },
  aboutEach({
    id: 'budget-watched',
    pci: [],
    wants: 'Spending beyond the plan is told before the month ends.',
    types: ['AWS::Budgets::Budget'],
    atLeastOne: true,
    wrong: ({ NotificationsWithSubscribers }) =>
      JSON.stringify(NotificationsWithSubscribers ?? '').includes('FORECASTED') ? undefined : 'tells too late',
  }),
]

/** ElastiCache tells by a figure; brokers, shares and machines by nothing that exists before they do. */
const tellsInLogs = [
  'AWS::RDS::DBInstance',
  'AWS::RDS::DBCluster',
  'AWS::DocDB::DBCluster',
  'AWS::OpenSearchService::Domain',
]
