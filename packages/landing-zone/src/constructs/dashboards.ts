import { Aws, Stack } from 'aws-cdk-lib'
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch'
import { Construct } from 'constructs'
import { pascal } from './network.ts'
import type { Service } from './service.ts'
import { serving } from './serving.ts'
import type { WatchedMetric, WatchedStore } from './store-context.ts'

type Dimensions = WatchedStore['dimensions']

export interface Watched {
  readonly kind: 'service' | 'store' | 'way'
  readonly name: string
  readonly namespace: string
  readonly dimensions: Dimensions
  readonly metrics: readonly WatchedMetric[]
}

/** A dashboard for each service, store and way in from outside and one for the estate; an alarm for each figure that wakes somebody. */
export class Dashboards extends Construct {
  readonly #alarmArns = new Map<string, string>()

  constructor(scope: Construct, prefix: string, watched: readonly Watched[], incidentsArn: string) {
    super(scope, 'Dashboards')
    serving(this, 'operations.dashboards')
    for (const one of watched) {
      this.#dashboard(
        `${one.kind} ${one.name}`,
        `${prefix}-${one.kind}-${one.name}`,
        one.metrics.map((metric) => widget(one, metric)),
      )
      this.#alarms(one, incidentsArn)
    }
    const first = watched.flatMap((one) => one.metrics.slice(0, 2).map((metric) => widget(one, metric)))
    this.#dashboard('Estate', prefix, first)
  }

  /** Undefined where that figure wakes nobody. */
  alarmArn(name: string, metric: string): string | undefined {
    return this.#alarmArns.get(`${name} ${metric}`)
  }

  #dashboard(id: string, dashboardName: string, widgets: readonly object[]): void {
    new cloudwatch.CfnDashboard(this, pascal(id), {
      dashboardName,
      dashboardBody: Stack.of(this).toJsonString({ start: '-PT6H', widgets: widgets.map(place) }),
    })
  }

  #alarms({ kind, name, namespace, dimensions, metrics }: Watched, incidentsArn: string): void {
    const scope = serving(new Construct(this, `${pascal(kind)}${pascal(name)}Alarms`), 'operations.incidents')
    for (const metric of metrics) {
      if (!metric.alarm) continue
      const isAbove = 'above' in metric.alarm
      const alarm = new cloudwatch.CfnAlarm(scope, pascal(metric.name), {
        alarmDescription: `${name}: ${metric.title}`,
        namespace,
        metricName: metric.name,
        dimensions: [...dimensions],
        statistic: metric.statistic,
        period: 60,
        evaluationPeriods: 5,
        datapointsToAlarm: 3,
        threshold: 'above' in metric.alarm ? metric.alarm.above : metric.alarm.below,
        comparisonOperator: isAbove ? 'GreaterThanThreshold' : 'LessThanThreshold',
        treatMissingData: 'notBreaching',
        alarmActions: [incidentsArn],
        okActions: [incidentsArn],
      })
      this.#alarmArns.set(`${name} ${metric.name}`, alarm.attrArn)
    }
  }
}

/** What a balancer tells about the service behind it. */
export function watchedService({ name, balancer }: Service): Watched {
  const dimensions = [
    { name: 'LoadBalancer', value: balancer.fullName },
    { name: 'TargetGroup', value: balancer.targets.attrTargetGroupFullName },
  ]
  const healthy: WatchedMetric = {
    name: 'HealthyHostCount',
    title: 'Healthy machines',
    statistic: 'Minimum',
    alarm: { below: 1 },
  }
  if (!balancer.isHttp) return { kind: 'service', name, namespace: 'AWS/NetworkELB', dimensions, metrics: [healthy] }
  return {
    kind: 'service',
    name,
    namespace: 'AWS/ApplicationELB',
    dimensions,
    metrics: [
      { name: 'RequestCount', title: 'Requests', statistic: 'Sum' },
      { name: 'TargetResponseTime', title: 'Answer time, s', statistic: 'Average', alarm: { above: 1 } },
      { name: 'HTTPCode_Target_5XX_Count', title: 'Failed requests', statistic: 'Sum', alarm: { above: 10 } },
      healthy,
    ],
  }
}

function widget({ name, namespace, dimensions }: Watched, metric: WatchedMetric): object {
  const path = [namespace, metric.name, ...dimensions.flatMap((dimension) => [dimension.name, dimension.value])]
  return {
    type: 'metric',
    properties: {
      title: `${name}: ${metric.title}`,
      metrics: [path],
      stat: metric.statistic,
      period: 60,
      region: Aws.REGION,
      view: 'timeSeries',
    },
  }
}

/** Two beside each other. */
function place(item: object, index: number): object {
  return { ...item, x: (index % 2) * 12, y: Math.floor(index / 2) * 6, width: 12, height: 6 }
}
