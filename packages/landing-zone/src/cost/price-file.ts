import { ReplatformError } from '@replatform/core/errors'
import type { Finding } from '@replatform/core/finding'
import { type Static, Type } from 'typebox'
import { Errors } from 'typebox/value'
import { findingOn } from '../plan/finding-on.ts'

const Row = Type.Object(
  {
    key: Type.String({ minLength: 1 }),
    /** `*` where the price is the same everywhere. */
    region: Type.String({ minLength: 1 }),
    /** Decimal text: money is never a floating-point number. */
    usd: Type.String({ pattern: '^[0-9]{1,7}(\\.[0-9]{1,6})?$' }),
    per: Type.Enum(['hour', 'month']),
    asOf: Type.String({ pattern: '^20[0-9]{2}-[0-9]{2}-[0-9]{2}$' }),
    source: Type.String({ minLength: 5 }),
  },
  { additionalProperties: false },
)
const PriceFile = Type.Object({ prices: Type.Array(Row) }, { additionalProperties: false })
export type PriceRow = Static<typeof Row>

/** AWS counts a month as 730 hours. */
const hoursPerMonth = 730
const staleAfterDays = 365

export class Prices {
  readonly #rows: readonly PriceRow[]

  constructor(rows: readonly PriceRow[]) {
    this.#rows = rows
  }

  /** Throws `landing-zone.prices-invalid`; names lines by their number, never guesses. */
  static parse(text: string, name: string): Prices {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (cause) {
      throw new ReplatformError('landing-zone.prices-invalid', { message: `${name} is not JSON.`, cause })
    }
    const problems = Errors(PriceFile, value)
      .slice(0, 10)
      .map(({ instancePath, message }) => `${instancePath || '/'}: ${message}`)
    if (problems.length > 0) {
      throw new ReplatformError('landing-zone.prices-invalid', { message: `${name}: ${problems.join('; ')}.` })
    }
    return new Prices((value as Static<typeof PriceFile>).prices)
  }

  /** Millionths of a dollar a month for one piece; undefined where nobody said, which is not zero. */
  monthly(key: string, region: string): number | undefined {
    const row = this.#rows.find(
      (candidate) => candidate.key === key && (candidate.region === region || candidate.region === '*'),
    )
    if (!row) return undefined
    return row.per === 'hour' ? micros(row.usd) * hoursPerMonth : micros(row.usd)
  }

  /** Prices that are older than a year, and those that nobody read anywhere. */
  findings(today: Date): Finding[] {
    const old = this.#rows.filter(({ asOf }) => today.getTime() - Date.parse(asOf) > staleAfterDays * 86_400_000)
    const recalled = this.#rows.filter(({ source }) => source.includes('recalled'))
    return [
      ...findingOn(old.map(shown), {
        id: 'landing-zone.prices-old',
        severity: 'risk',
        title: `${old.length} of ${this.#rows.length} prices are older than a year.`,
        remedy: 'Give a newer file with --prices; its form stands in docs/30-landing-zone.md.',
      }),
      ...findingOn(recalled.map(shown), {
        id: 'landing-zone.prices-recalled',
        severity: 'note',
        title: `${recalled.length} of ${this.#rows.length} prices were recalled, not read anywhere.`,
        remedy: 'Look them up before the sum is relied on, and give them with --prices.',
      }),
    ]
  }
}

function shown({ key, region, asOf }: PriceRow): string {
  return `${key} (${region}): ${asOf}`
}

function micros(usd: string): number {
  const [whole = '0', fraction = ''] = usd.split('.')
  return Number(whole) * 1_000_000 + Number(fraction.padEnd(6, '0'))
}
