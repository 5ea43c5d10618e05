/**
 * Instance classes that targets are sized from: virtual processors and memory in GiB, smallest first.
 * Source: AWS's pages "Amazon EC2 instance types", "DB instance classes", "Supported node types" (ElastiCache),
 * "Amazon MQ broker instance types" and "Supported instance types in Amazon OpenSearch Service".
 */
export interface InstanceClass {
  readonly name: string
  readonly cores: number
  readonly memoryGiB: number
}

const sizes = [
  ['large', 2],
  ['xlarge', 4],
  ['2xlarge', 8],
  ['4xlarge', 16],
  ['8xlarge', 32],
  ['12xlarge', 48],
  ['16xlarge', 64],
] as const

/** `memoryPerCore` in GiB: 4 for general families (m), 8 for memory families (r). */
function family(pattern: string, memoryPerCore: number, from: string = 'large'): InstanceClass[] {
  const first = sizes.findIndex(([size]) => size === from)
  return sizes
    .slice(first)
    .map(([size, cores]) => ({ name: pattern.replace('*', size), cores, memoryGiB: cores * memoryPerCore }))
}

/** Both families, ordered so that the first that suffices is the least. */
function both(general: string, memory: string): InstanceClass[] {
  return [...family(general, 4), ...family(memory, 8)].toSorted(
    (a, b) => a.cores - b.cores || a.memoryGiB - b.memoryGiB,
  )
}

export const instanceClasses = {
  rds: both('db.m7g.*', 'db.r7g.*'),
  // A cluster of three keeps its log on local disks: classes with d only (RDS user guide, Multi-AZ DB clusters).
  'rds-cluster': both('db.m6gd.*', 'db.r6gd.*'),
  // DocumentDB has memory families only, and its medium class for what is small.
  documentdb: [{ name: 'db.t4g.medium', cores: 2, memoryGiB: 4 }, ...family('db.r6g.*', 8)],
  elasticache: [{ name: 'cache.t4g.medium', cores: 2, memoryGiB: 3.09 }, ...both('cache.m7g.*', 'cache.r7g.*')],
  'amazon-mq-activemq': family('mq.m5.*', 4).slice(0, 4),
  'amazon-mq-rabbitmq': [{ name: 'mq.m7g.medium', cores: 1, memoryGiB: 4 }, ...family('mq.m7g.*', 4)],
  opensearch: both('m7g.*.search', 'r7g.*.search'),
  // Images of the old site's machines are x86.
  ec2: both('m7i.*', 'r7i.*'),
} as const satisfies Record<string, readonly InstanceClass[]>
export type SizedKind = keyof typeof instanceClasses
