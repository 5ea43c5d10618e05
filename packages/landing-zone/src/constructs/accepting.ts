import { Validations } from 'aws-cdk-lib'
import type { IConstruct } from 'constructs'

/**
 * Accepts what a rule of a public pack complains about on a construct and all below it, with the reason that an auditor
 * reads. Returns the construct. Our own rules cannot be accepted: they are changed, for everybody.
 */
export function accepting<Scope extends IConstruct>(scope: Scope, reason: string, ...ids: readonly string[]): Scope {
  Validations.of(scope).acknowledge(...ids.map((id) => ({ id: `AwsSolutions-${id}`, reason })))
  return scope
}
