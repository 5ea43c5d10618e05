import { Aws } from 'aws-cdk-lib'
import * as budgets from 'aws-cdk-lib/aws-budgets'
import * as ce from 'aws-cdk-lib/aws-ce'
import * as events from 'aws-cdk-lib/aws-events'
import * as sns from 'aws-cdk-lib/aws-sns'
import { Construct } from 'constructs'
import type { Blueprint } from '../plan/blueprint.ts'
import { alarmOnLog } from './log-alarm.ts'
import type { Logs } from './logs.ts'
import { serving } from './serving.ts'

/** The one place that every alarm goes to. A person subscribes; so can a pager or a chat. */
export class Incidents extends Construct {
  readonly topicArn: string

  constructor(scope: Construct, { contact }: Blueprint, keyArn: string) {
    super(scope, 'Incidents')
    serving(this, 'operations.incidents')
    const topic = new sns.CfnTopic(this, 'Topic', { displayName: 'Incidents', kmsMasterKeyId: keyArn })
    new sns.CfnSubscription(this, 'Contact', { topicArn: topic.ref, protocol: 'email', endpoint: contact })
    const services = [
      'cloudwatch.amazonaws.com',
      'events.amazonaws.com',
      'budgets.amazonaws.com',
      'costalerts.amazonaws.com',
    ]
    new sns.CfnTopicPolicy(this, 'Policy', {
      topics: [topic.ref],
      policyDocument: {
        Version: '2012-10-17',
        Statement: [
          {
            Sid: 'Alarms',
            Effect: 'Allow',
            Principal: { Service: services },
            Action: 'sns:Publish',
            Resource: topic.ref,
            Condition: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
          },
          {
            Sid: 'TlsOnly',
            Effect: 'Deny',
            Principal: '*',
            Action: 'sns:Publish',
            Resource: topic.ref,
            Condition: { Bool: { 'aws:SecureTransport': false } },
          },
        ],
      },
    })
    this.topicArn = topic.ref
  }

  /** Findings of the detectors, and what the trail shows that nobody should do. */
  watch(logGroups: Logs): void {
    const scope = serving(new Construct(this, 'Threats'), 'security.threats')
    for (const [id, eventPattern] of Object.entries(detectorEvents)) {
      new events.CfnRule(scope, id, { eventPattern, targets: [{ id: 'incidents', arn: this.topicArn }] })
    }
    for (const [id, pattern] of Object.entries(trailPatterns)) {
      alarmOnLog(scope, {
        logGroupName: logGroups.name('trail'),
        pattern,
        metric: { namespace: 'Trail', name: id },
        description: `Seen in the audit trail: ${id}`,
        when: { atLeast: 1 },
        incidentsArn: this.topicArn,
        ids: { filter: `${id}Filter`, alarm: `${id}Alarm` },
      })
    }
  }

  /** Spending beyond the plan, and spending that is unlike what was before. */
  watchCost({ settings, estate, environment, contact }: Blueprint): void {
    const scope = serving(new Construct(this, 'Cost'), 'operations.cost')
    const subscribers = [{ subscriptionType: 'SNS', address: this.topicArn }]
    const notify = (notificationType: string, threshold: number) => ({
      notification: { notificationType, threshold, comparisonOperator: 'GREATER_THAN', thresholdType: 'PERCENTAGE' },
      subscribers,
    })
    new budgets.CfnBudget(scope, 'Budget', {
      budget: {
        budgetName: `${estate}-${environment}`,
        budgetType: 'COST',
        timeUnit: 'MONTHLY',
        budgetLimit: { amount: settings.monthlyBudgetUsd, unit: 'USD' },
      },
      notificationsWithSubscribers: [notify('ACTUAL', 80), notify('FORECASTED', 100)],
    })
    const monitor = new ce.CfnAnomalyMonitor(scope, 'Anomalies', {
      monitorName: `${estate}-${environment}`,
      monitorType: 'DIMENSIONAL',
      monitorDimension: 'SERVICE',
    })
    new ce.CfnAnomalySubscription(scope, 'AnomalySubscription', {
      subscriptionName: `${estate}-${environment}`,
      frequency: 'DAILY',
      monitorArnList: [monitor.ref],
      subscribers: [{ type: 'EMAIL', address: contact }],
      thresholdExpression: JSON.stringify({
        Dimensions: {
          Key: 'ANOMALY_TOTAL_IMPACT_ABSOLUTE',
          MatchOptions: ['GREATER_THAN_OR_EQUAL'],
          Values: [String(Math.max(10, Math.round(settings.monthlyBudgetUsd / 50)))],
        },
      }),
    })
  }
}

const detectorEvents = {
  // GuardDuty user guide: 7.0 and above is high.
  ThreatsFound: { source: ['aws.guardduty'], detail: { severity: [{ numeric: ['>=', 4] }] } },
  ControlsFailed: {
    'source': ['aws.securityhub'],
    'detail-type': ['Security Hub Findings - Imported'],
    'detail': { findings: { Severity: { Label: ['HIGH', 'CRITICAL'] }, Workflow: { Status: ['NEW'] } } },
  },
}

/** Source of the patterns: CIS AWS Foundations Benchmark, section "Monitoring". */
const trailPatterns = {
  RootUsed:
    '{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS && $.eventType != "AwsServiceEvent" }',
  SignInWithoutSecondFactor:
    '{ ($.eventName = "ConsoleLogin") && ($.additionalEventData.MFAUsed != "Yes") && ($.userIdentity.type = "IAMUser") && ($.responseElements.ConsoleLogin = "Success") }',
  SignInsFailed: '{ ($.eventName = "ConsoleLogin") && ($.errorMessage = "Failed authentication") }',
  CallsRefused: '{ ($.errorCode = "*UnauthorizedOperation") || ($.errorCode = "AccessDenied*") }',
  PoliciesChanged:
    '{ ($.eventName = PutRolePolicy) || ($.eventName = AttachRolePolicy) || ($.eventName = CreatePolicyVersion) || ($.eventName = PutUserPolicy) || ($.eventName = DeleteRolePolicy) || ($.eventName = PutBucketPolicy) }',
  KeysDisabled:
    '{ ($.eventSource = kms.amazonaws.com) && (($.eventName = DisableKey) || ($.eventName = ScheduleKeyDeletion)) }',
  NetworkChanged:
    '{ ($.eventName = AuthorizeSecurityGroup*) || ($.eventName = CreateRoute) || ($.eventName = ReplaceRoute) || ($.eventName = CreateNetworkAcl*) || ($.eventName = AttachInternetGateway) }',
  TrailChanged: '{ ($.eventName = StopLogging) || ($.eventName = DeleteTrail) || ($.eventName = UpdateTrail) }',
} as const
