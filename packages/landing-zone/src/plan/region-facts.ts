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
}

export const regionFactsAt = '2026-11-24'

const three: RegionFacts = { zones: ['a', 'b', 'c'], lacks: [] }

export const regionFacts: Readonly<Record<string, RegionFacts>> = {
  'ap-northeast-1': { zones: ['a', 'c', 'd'], lacks: [] },
  'ap-northeast-2': three,
  'ap-northeast-3': three,
  'ap-south-1': three,
  'ap-southeast-1': three,
  'ap-southeast-2': three,
  'ca-central-1': three,
  'eu-central-1': three,
  'eu-north-1': three,
  'eu-west-1': three,
  'eu-west-2': three,
  'eu-west-3': three,
  'sa-east-1': three,
  'us-east-1': three,
  'us-east-2': three,
  'us-west-1': { zones: ['a', 'c'], lacks: ['documentdb'] },
  'us-west-2': three,
}

/** Names of as many zones as are asked for; fewer where the region has fewer. */
export function zonesOf(region: string, count: number): string[] {
  const { zones } = regionFacts[region] ?? three
  return zones.slice(0, count).map((letter) => `${region}${letter}`)
}
