/** An IPv4 range. `base` is the lowest address as an unsigned number. */
export interface Cidr {
  readonly base: number
  readonly prefix: number
}

/** Any address: the destination of a default route. */
export const everywhere = '0.0.0.0/0'
/** RFC 1918. */
export const privateRanges = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16']

/** Undefined where the text is no range, or where bits stand behind its prefix (RFC 4632). */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', prefixText = ''] = text.split('/')
  const bytes = address.split('.').map(Number)
  const prefix = Number(prefixText)
  const isWhole = bytes.length === 4 && bytes.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255)
  if (!isWhole || prefixText === '' || !Number.isInteger(prefix) || prefix > 32) return undefined
  const base = bytes.reduce((sum, byte) => sum * 256 + byte, 0)
  return base % sizeOf(prefix) === 0 ? { base, prefix } : undefined
}

export function formatCidr({ base, prefix }: Cidr): string {
  return `${formatAddress(base)}/${prefix}`
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.')
}

export function overlaps(one: Cidr, other: Cidr): boolean {
  return one.base < other.base + sizeOf(other.prefix) && other.base < one.base + sizeOf(one.prefix)
}

export function contains(outer: Cidr, inner: Cidr): boolean {
  return inner.prefix >= outer.prefix && overlaps(outer, inner)
}

/** The `index`-th range of `prefix` bits inside `whole`, counted from its start. Undefined where it has no room left. */
export function part(whole: Cidr, prefix: number, index: number): Cidr | undefined {
  if (prefix < whole.prefix || (index + 1) * sizeOf(prefix) > sizeOf(whole.prefix)) return undefined
  return { base: whole.base + index * sizeOf(prefix), prefix }
}

/** What is left of `whole` without `excluded`, in as few ranges as there are. */
export function without(whole: Cidr, excluded: readonly Cidr[]): Cidr[] {
  const touching = excluded.filter((range) => overlaps(whole, range))
  if (touching.length === 0) return [whole]
  if (touching.some((range) => contains(range, whole))) return []
  return halves(whole).flatMap((half) => without(half, touching))
}

function halves({ base, prefix }: Cidr): Cidr[] {
  return [0, 1].map((index) => ({ base: base + index * sizeOf(prefix + 1), prefix: prefix + 1 }))
}

function sizeOf(prefix: number): number {
  return 2 ** (32 - prefix)
}
