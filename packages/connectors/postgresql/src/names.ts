import type { FlowKey } from './flow-store.ts'

/** Slot and publication of a flow carry one name on its source: lower-case letters, digits and underscores. */
export function streamName(key: FlowKey): string {
  return `replatform_${key.move.replaceAll('-', '_')}_${key.direction}`.slice(0, 63)
}
