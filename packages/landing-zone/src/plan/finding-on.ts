import { evidence, type Finding } from '@replatform/core/finding'

/** One finding where there is evidence, none otherwise. */
export function findingOn(items: readonly string[], finding: Omit<Finding, 'evidence'>): Finding[] {
  return items.length > 0 ? [{ ...finding, evidence: evidence(items) }] : []
}
