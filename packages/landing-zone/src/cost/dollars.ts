/** An amount in millionths of a dollar, for people: `$1,234.50`. */
export function dollars(microUsd: number): string {
  const cents = Math.round(microUsd / 10_000)
  const whole = String(Math.floor(cents / 100)).replaceAll(/\B(?=(\d{3})+$)/g, ',')
  return `$${whole}.${String(cents % 100).padStart(2, '0')}`
}
