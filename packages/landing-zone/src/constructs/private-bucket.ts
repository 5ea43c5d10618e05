import { RemovalPolicy } from 'aws-cdk-lib'
import * as s3 from 'aws-cdk-lib/aws-s3'
import { Construct } from 'constructs'

/** The name of the figures of a bucket as a whole. */
export const everyRequest = 'every-request'

export interface PrivateBucketOptions {
  /** Undefined: keys of S3 itself, which is all that load balancers can write under. */
  readonly keyArn?: string | undefined
  /** Where its own access log goes; the log bucket itself has none. */
  readonly logBucket?: s3.CfnBucket | undefined
  /** Objects cannot be changed or deleted for so long. */
  readonly lockDays?: number
  readonly expireDays?: number
  /** What was overwritten or deleted can be had back for so long; parts of uploads that never ended go after a week. */
  readonly oldVersionDays?: number
  /** Figures by the minute, which cost something: errors and times of answers. */
  readonly measured?: true
  readonly statements?: (bucket: s3.CfnBucket) => readonly object[]
}

/** Closed to the public, encrypted, versioned, reached over TLS only, kept when its stack goes. */
export class PrivateBucket extends Construct {
  readonly bucket: s3.CfnBucket
  readonly policy: s3.CfnBucketPolicy

  constructor(scope: Construct, id: string, options: PrivateBucketOptions) {
    super(scope, id)
    const { keyArn, logBucket, lockDays, expireDays, oldVersionDays, measured, statements } = options
    this.bucket = new s3.CfnBucket(this, 'Bucket', {
      bucketEncryption: {
        serverSideEncryptionConfiguration: [
          {
            bucketKeyEnabled: true,
            serverSideEncryptionByDefault: keyArn
              ? { sseAlgorithm: 'aws:kms', kmsMasterKeyId: keyArn }
              : { sseAlgorithm: 'AES256' },
          },
        ],
      },
      publicAccessBlockConfiguration: {
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      },
      ownershipControls: { rules: [{ objectOwnership: 'BucketOwnerEnforced' }] },
      versioningConfiguration: { status: 'Enabled' },
      ...(logBucket ? { loggingConfiguration: { destinationBucketName: logBucket.ref, logFilePrefix: `${id}/` } } : {}),
      ...(lockDays === undefined ? {} : { objectLockEnabled: true, objectLockConfiguration: retention(lockDays) }),
      ...(expireDays === undefined ? {} : { lifecycleConfiguration: expiry(expireDays) }),
      ...(oldVersionDays === undefined ? {} : { lifecycleConfiguration: oldVersions(oldVersionDays) }),
      ...(measured ? { metricsConfigurations: [{ id: everyRequest }] } : {}),
    })
    this.bucket.applyRemovalPolicy(RemovalPolicy.RETAIN)
    this.policy = new s3.CfnBucketPolicy(this, 'Policy', {
      bucket: this.bucket.ref,
      policyDocument: {
        Version: '2012-10-17',
        Statement: [...safeTransport(this.bucket), ...(statements?.(this.bucket) ?? [])],
      },
    })
  }
}

function retention(days: number): s3.CfnBucket.ObjectLockConfigurationProperty {
  return { objectLockEnabled: 'Enabled', rule: { defaultRetention: { mode: 'COMPLIANCE', days } } }
}

function expiry(days: number): s3.CfnBucket.LifecycleConfigurationProperty {
  const rule = {
    id: 'expire',
    status: 'Enabled',
    expirationInDays: days,
    noncurrentVersionExpiration: { noncurrentDays: 30 },
  }
  return { rules: [rule, parts] }
}

function oldVersions(noncurrentDays: number): s3.CfnBucket.LifecycleConfigurationProperty {
  const rule = { id: 'old-versions', status: 'Enabled', noncurrentVersionExpiration: { noncurrentDays } }
  return { rules: [rule, parts] }
}

const parts = { id: 'parts', status: 'Enabled', abortIncompleteMultipartUpload: { daysAfterInitiation: 7 } }

/** PCI-DSS 4.0.1, 4.2.1: no clear text, and nothing older than TLS 1.2, whatever a client asks for. */
function safeTransport({ attrArn }: s3.CfnBucket): object[] {
  const refused = { Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: [attrArn, `${attrArn}/*`] }
  return [
    { Sid: 'TlsOnly', ...refused, Condition: { Bool: { 'aws:SecureTransport': false } } },
    { Sid: 'CurrentTlsOnly', ...refused, Condition: { NumericLessThan: { 's3:TlsVersion': '1.2' } } },
  ]
}
