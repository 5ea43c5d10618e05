/** Which requirement a resource serves. It travels in the template's metadata, where `explain` and `check` read it. */
import { Annotations, CfnResource, type IAspect } from 'aws-cdk-lib'
import type { IConstruct } from 'constructs'
import type { RequirementId } from '../plan/requirements.ts'

export const servesKey = 'replatform:serves'

const served = new WeakMap<IConstruct, readonly RequirementId[]>()

/** Says what a construct and all below it are for. Returns it. */
export function serving<Scope extends IConstruct>(scope: Scope, ...requirements: RequirementId[]): Scope {
  served.set(scope, requirements)
  return scope
}

/** Writes the nearest statement above each resource into its metadata; a resource without one fails the synthesis. */
export class RecordServing implements IAspect {
  visit(node: IConstruct): void {
    if (!CfnResource.isCfnResource(node)) return
    const requirements = node.node.scopes
      .toReversed()
      .map((scope) => served.get(scope))
      .find(Boolean)
    if (requirements) node.addMetadata(servesKey, requirements)
    else Annotations.of(node).addError(`No requirement asks for ${node.node.path}.`)
  }
}
