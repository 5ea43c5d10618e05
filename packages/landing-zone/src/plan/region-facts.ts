/**
 * What regions offer, as read on `regionFactsAt`. Services: the resource types that CloudFormation has in each region, as
 * cfn-lint 1.58.0 carries them; `stacks/public-packs.test.ts` holds this file to it. Number of zones that every account
 * gets: https://qiita.com/MH35JP/items/1df91ccd2874e09c3598 and
 * https://docs.aws.amazon.com/documentdb/latest/developerguide/regions-and-azs.html (stored copies). Neither is your
 * account: `plan/validate.ts` says how to look it up there.
 */
export interface RegionFacts {
  /** Letters of availability zones; names only, since templates take zones by their place in the account. */
  readonly zones: readonly string[]
  /** Managed services that it lacks, of those that an estate can become. */
  readonly lacks: readonly string[]
  /** The list of S3's addresses that AWS keeps: what a security group names to let machines fetch patches. */
  readonly s3PrefixList?: string
}

export const regionFactsAt = '2026-11-24'

const abc = ['a', 'b', 'c']

export const regionFacts: Readonly<Record<string, RegionFacts>> = {
  'ap-northeast-1': { zones: ['a', 'c', 'd'], lacks: [], s3PrefixList: 'pl-61a54008' },
  'ap-northeast-2': { zones: abc, lacks: [] },
  'ap-northeast-3': { zones: abc, lacks: [] },
  'ap-south-1': { zones: abc, lacks: [] },
  'ap-southeast-1': { zones: abc, lacks: [], s3PrefixList: 'pl-6fa54006' },
  'ap-southeast-2': { zones: abc, lacks: [], s3PrefixList: 'pl-6ca54005' },
  'ca-central-1': { zones: abc, lacks: [] },
  'eu-central-1': { zones: abc, lacks: [], s3PrefixList: 'pl-6ea54007' },
  'eu-north-1': { zones: abc, lacks: [] },
  'eu-west-1': { zones: abc, lacks: [], s3PrefixList: 'pl-6da54004' },
  'eu-west-2': { zones: abc, lacks: [] },
  'eu-west-3': { zones: abc, lacks: [] },
  'sa-east-1': { zones: abc, lacks: [] },
  'us-east-1': { zones: abc, lacks: [], s3PrefixList: 'pl-63a5400a' },
  'us-east-2': { zones: abc, lacks: [], s3PrefixList: 'pl-7ba54012' },
  'us-west-1': { zones: ['a', 'c'], lacks: ['documentdb'], s3PrefixList: 'pl-6ba54002' },
  'us-west-2': { zones: abc, lacks: [], s3PrefixList: 'pl-68a54001' },
}

/** Names of as many zones as are asked for; fewer where the region has fewer. */
export function zonesOf(region: string, count: number): string[] {
  const zones = regionFacts[region]?.zones ?? abc
  return zones.slice(0, count).map((letter) => `${region}${letter}`)
}
