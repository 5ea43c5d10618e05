/**
 * What regions offer, as recalled on `regionFactsAt` from the pages "Regions and Availability Zones" and "AWS Services
 * by Region". Neither can be read here, so `plan/validate.ts` always says how to look it up in the account itself.
 */
export interface RegionFacts {
  /** Letters of availability zones that new accounts get; more may exist. */
  readonly zones: readonly string[]
  /** Managed services that it lacks, of those that an estate can become. */
  readonly lacks: readonly string[]
}

export const regionFactsAt = '2026-11-24'

const three: RegionFacts = { zones: ['a', 'b', 'c'], lacks: [] }

export const regionFacts: Readonly<Record<string, RegionFacts>> = {
  'ap-northeast-1': { zones: ['a', 'c', 'd'], lacks: [] },
  'ap-southeast-1': three,
  'ap-southeast-2': three,
  'eu-central-1': three,
  'eu-west-1': three,
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
