import { Aws } from 'aws-cdk-lib'
import * as analyzer from 'aws-cdk-lib/aws-accessanalyzer'
import * as cloudtrail from 'aws-cdk-lib/aws-cloudtrail'
import * as config from 'aws-cdk-lib/aws-config'
import * as guardduty from 'aws-cdk-lib/aws-guardduty'
import * as iam from 'aws-cdk-lib/aws-iam'
import type * as s3 from 'aws-cdk-lib/aws-s3'
import * as securityhub from 'aws-cdk-lib/aws-securityhub'
import { Construct } from 'constructs'
import { keptDays, type Logs } from './logs.ts'
import { PrivateBucket } from './private-bucket.ts'
import { serving } from './serving.ts'

/** Who did what: in files that cannot be changed for a year, with digests that show if one is missing. */
export class Trail extends Construct {
  constructor(scope: Construct, prefix: string, logs: Logs, keyArn: string) {
    super(scope, 'Trail')
    serving(this, 'security.audit-trail')
    const files = new PrivateBucket(this, 'Files', {
      keyArn,
      logBucket: logs.accessLogs,
      lockDays: 365,
      expireDays: keptDays,
      statements: (own) => writableBy('cloudtrail.amazonaws.com', own),
    })
    const trail = new cloudtrail.CfnTrail(this, 'Trail', {
      trailName: prefix,
      isLogging: true,
      isMultiRegionTrail: true,
      includeGlobalServiceEvents: true,
      enableLogFileValidation: true,
      kmsKeyId: keyArn,
      s3BucketName: files.bucket.ref,
      cloudWatchLogsLogGroupArn: logs.arn('trail'),
      cloudWatchLogsRoleArn: logs.writerRoleArn,
      insightSelectors: [{ insightType: 'ApiCallRateInsight' }, { insightType: 'ApiErrorRateInsight' }],
    })
    // Its policy must stand before the trail writes.
    trail.node.addDependency(files.policy)
  }
}

/** Threats, misconfiguration and vulnerable packages, each found by the service that is made for it. */
export class Detection extends Construct {
  constructor(scope: Construct, logs: Logs, keyArn: string) {
    super(scope, 'Detection')
    this.#threats()
    this.#configuration(logs, keyArn)
  }

  #threats(): void {
    const scope = serving(new Construct(this, 'Threats'), 'security.threats')
    const features = ['S3_DATA_EVENTS', 'EBS_MALWARE_PROTECTION', 'RDS_LOGIN_EVENTS', 'RUNTIME_MONITORING']
    new guardduty.CfnDetector(scope, 'GuardDuty', {
      enable: true,
      findingPublishingFrequency: 'FIFTEEN_MINUTES',
      features: features.map((name) => ({ name, status: 'ENABLED' })),
    })
    new analyzer.CfnAnalyzer(scope, 'AccessAnalyzer', { type: 'ACCOUNT' })
    const hub = new securityhub.CfnHub(scope, 'SecurityHub', {
      autoEnableControls: true,
      enableDefaultStandards: false,
      controlFindingGenerator: 'SECURITY_CONTROL',
    })
    for (const [id, standard] of [
      ['BestPractices', 'aws-foundational-security-best-practices/v/1.0.0'],
      ['Pci', 'pci-dss/v/4.0.1'],
    ] as const) {
      new securityhub.CfnStandard(scope, id, {
        standardsArn: `arn:${Aws.PARTITION}:securityhub:${Aws.REGION}::standards/${standard}`,
      }).addResourceDependency(hub)
    }
  }

  #configuration(logs: Logs, keyArn: string): void {
    const scope = serving(new Construct(this, 'Configuration'), 'security.configuration')
    const { bucket } = new PrivateBucket(scope, 'Records', {
      keyArn,
      logBucket: logs.accessLogs,
      expireDays: keptDays,
      statements: (own) => writableBy('config.amazonaws.com', own),
    })
    const recorder = new config.CfnConfigurationRecorder(scope, 'Recorder', {
      roleArn: `arn:${Aws.PARTITION}:iam::${Aws.ACCOUNT_ID}:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig`,
      recordingGroup: { allSupported: true, includeGlobalResourceTypes: true },
    })
    const role = new iam.CfnServiceLinkedRole(scope, 'Role', { awsServiceName: 'config.amazonaws.com' })
    recorder.addResourceDependency(role)
    const channel = new config.CfnDeliveryChannel(scope, 'Channel', { s3BucketName: bucket.ref })
    channel.addResourceDependency(recorder)
    for (const [id, sourceIdentifier] of Object.entries(managedRules)) {
      new config.CfnConfigRule(scope, id, { source: { owner: 'AWS', sourceIdentifier } }).addResourceDependency(
        recorder,
      )
    }
  }
}

/**
 * Drift that matters most for card data, as rules of our own choice, so that the list can be read here. Names: AWS
 * Config developer guide, "List of managed rules".
 */
const managedRules = {
  RootMfa: 'ROOT_ACCOUNT_MFA_ENABLED',
  NoRootKeys: 'IAM_ROOT_ACCESS_KEY_CHECK',
  UserMfa: 'IAM_USER_MFA_ENABLED',
  NoAdminPolicies: 'IAM_POLICY_NO_STATEMENTS_WITH_ADMIN_ACCESS',
  EncryptedVolumes: 'ENCRYPTED_VOLUMES',
  EncryptedDatabases: 'RDS_STORAGE_ENCRYPTED',
  NoPublicDatabases: 'RDS_INSTANCE_PUBLIC_ACCESS_CHECK',
  NoPublicBuckets: 'S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED',
  TlsBuckets: 'S3_BUCKET_SSL_REQUESTS_ONLY',
  ClosedDefaultGroup: 'VPC_DEFAULT_SECURITY_GROUP_CLOSED',
  NoOpenSsh: 'INCOMING_SSH_DISABLED',
  TrailOn: 'MULTI_REGION_CLOUD_TRAIL_ENABLED',
  TrailValidated: 'CLOUD_TRAIL_LOG_FILE_VALIDATION_ENABLED',
  KeysRotate: 'CMK_BACKING_KEY_ROTATION_ENABLED',
  Imdsv2: 'EC2_IMDSV2_CHECK',
} as const

/** Source: the services' own pages on the policy of their bucket. */
function writableBy(service: string, { attrArn }: s3.CfnBucket): object[] {
  const Condition = { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } }
  const Principal = { Service: service }
  return [
    {
      Sid: 'Look',
      Effect: 'Allow',
      Principal,
      Action: ['s3:GetBucketAcl', 's3:ListBucket'],
      Resource: attrArn,
      Condition,
    },
    { Sid: 'Write', Effect: 'Allow', Principal, Action: 's3:PutObject', Resource: `${attrArn}/AWSLogs/*`, Condition },
  ]
}
