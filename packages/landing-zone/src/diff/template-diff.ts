import { fullDiff, ResourceImpact } from '@aws-cdk/cloudformation-diff'
import { CloudAssembly } from 'aws-cdk-lib/cx-api'

export interface ChangedResource {
  readonly stack: string
  readonly logicalId: string
  readonly type: string
  readonly change: 'added' | 'removed' | 'changed'
  /** What happens to what stands there: a replaced or deleted store loses its data unless a policy keeps it. */
  readonly impact: 'none' | 'in place' | 'may be replaced' | 'replaced' | 'deleted' | 'left behind'
  readonly properties: readonly string[]
}

/** What would change on AWS from one set of templates to another, resource by resource. Asks no account. */
export function diffTemplates(before: CloudAssembly, after: CloudAssembly): ChangedResource[] {
  const names = [...new Set([...before.stacks, ...after.stacks].map(({ id }) => id))]
  return names.flatMap((stack) => {
    const diff = fullDiff(templateOf(before, stack), templateOf(after, stack))
    const changes: ChangedResource[] = []
    diff.resources.forEachDifference((logicalId, difference) => {
      const impact = impacts[difference.changeImpact] ?? 'none'
      if (!difference.isAddition && !difference.isRemoval && impact === 'none') return
      changes.push({
        stack,
        logicalId,
        type: difference.newResourceType ?? difference.oldResourceType ?? '?',
        change: difference.isAddition ? 'added' : difference.isRemoval ? 'removed' : 'changed',
        impact: difference.isAddition ? 'none' : impact,
        properties: Object.keys(difference.propertyUpdates),
      })
    })
    return changes
  })
}

/** The templates that an earlier synthesis wrote. Throws where there are none. */
export function assemblyIn(folder: string): CloudAssembly {
  return new CloudAssembly(folder)
}

/** Those after which something that stood there is gone. */
export function destructive(changes: readonly ChangedResource[]): ChangedResource[] {
  return changes.filter(({ impact }) => impact === 'replaced' || impact === 'may be replaced' || impact === 'deleted')
}

const impacts: Readonly<Record<string, ChangedResource['impact']>> = {
  [ResourceImpact.NO_CHANGE]: 'none',
  [ResourceImpact.WILL_CREATE]: 'none',
  [ResourceImpact.WILL_IMPORT]: 'none',
  [ResourceImpact.WILL_UPDATE]: 'in place',
  [ResourceImpact.MAY_REPLACE]: 'may be replaced',
  [ResourceImpact.WILL_REPLACE]: 'replaced',
  [ResourceImpact.WILL_DESTROY]: 'deleted',
  [ResourceImpact.WILL_ORPHAN]: 'left behind',
}

function templateOf(assembly: CloudAssembly, stack: string): Record<string, unknown> {
  return (assembly.stacks.find(({ id }) => id === stack)?.template ?? { Resources: {} }) as Record<string, unknown>
}
