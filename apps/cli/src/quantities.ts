/** Figures as people read them; none is wider than eight characters. */

/** `9,999`, then `12.3k`, `1.2M`, `4.5G`. */
export function formatCount(count: number): string {
  if (Math.abs(count) < 10_000) return Math.round(count).toLocaleString('en-US')
  return scaled(count, ['', 'k', 'M', 'G', 'T', 'P'], '')
}

/** Decimal units, as disks and networks are sold: `512 B`, `34 MB`, `1.2 GB`. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, ['B', 'kB', 'MB', 'GB', 'TB', 'PB'], ' ')
}

function scaled(amount: number, units: readonly string[], space: string): string {
  let value = amount
  let unit = 0
  // 999.5 would be shown as 1000.
  while (Math.abs(value) >= 999.5 && unit < units.length - 1) {
    value /= 1_000
    unit += 1
  }
  const digits = unit > 0 && Math.abs(value) < 99.95 ? 1 : 0
  return `${value.toFixed(digits)}${space}${units[unit]}`
}

/** `450 ms`, `12 s`, `1m 20s`, `2h 05m`, `3d 04h`; beyond a hundred days nobody plans by it. */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`
  const seconds = Math.round(ms / 1_000)
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)} s`
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3_600) return pair(seconds, 60, 'm', 's')
  const minutes = Math.floor(seconds / 60)
  if (minutes < 24 * 60) return pair(minutes, 60, 'h', 'm')
  if (minutes < 100 * 24 * 60) return pair(Math.floor(minutes / 60), 24, 'd', 'h')
  return '> 99 d'
}

function pair(amount: number, factor: number, large: string, small: string): string {
  return `${Math.floor(amount / factor)}${large} ${String(amount % factor).padStart(2, '0')}${small}`
}

/** 100 only when all is done: rounded down, and never above. An empty whole is done. */
export function percent(done: number, total: number): number {
  if (total <= 0) return 100
  return Math.min(100, Math.max(0, Math.floor((done / total) * 100)))
}
