/**
 * Which versions of ActiveMQ Amazon MQ runs, and until when, as data: from its developer guide (page on versions of
 * ActiveMQ), and what this route was tried on. Looked at in November 2026; look again when `rulesFrom` is a year old.
 */
export const rulesFrom = '2026-11'

/** This route's tests run on it. */
export const triedVersion = '5.18'

/** By minor version; `endsOn` null where no end was announced. After it brokers are upgraded within 45 days, by a reboot. */
const amazonMqVersions: Readonly<Record<string, { readonly endsOn: string | null }>> = {
  '5.15': { endsOn: '2024-09-16' },
  '5.16': { endsOn: '2024-11-15' },
  '5.17': { endsOn: '2025-06-16' },
  '5.18': { endsOn: null },
  '5.19': { endsOn: null },
}

export interface VersionRules {
  /** `5.18` of `5.18.6`. */
  readonly minor: string
  readonly isTried: boolean
  /** Of Amazon MQ: undefined where it is not known to run there, null where no end was announced. */
  readonly endsOn: string | null | undefined
}

export function rulesOf(version: string): VersionRules {
  const minor = version.split('.').slice(0, 2).join('.')
  return { minor, isTried: minor === triedVersion, endsOn: amazonMqVersions[minor]?.endsOn }
}
