/** Whose calls the policy of an endpoint admits: those of the own account, and those that would carry data elsewhere. */
import type { Properties, Resource } from '../template/template-graph.ts'

export interface Admission {
  /** Principals of this account, to what belongs to this account. */
  readonly own: boolean
  /** Principals of another account, to anything of any account: how data leaves by somebody else's credentials. */
  readonly foreign: boolean
}

interface Statement {
  readonly Effect?: unknown
  readonly Resource?: unknown
  readonly Condition?: Readonly<Record<string, Properties>>
}

/** Without a policy an endpoint admits everybody (Amazon VPC user guide, "Endpoint policies"). */
export function admissionOf({ properties }: Resource, account: string): Admission {
  if (properties.PolicyDocument === undefined) return { own: true, foreign: true }
  const statements = [(properties.PolicyDocument as Properties).Statement].flat() as Statement[]
  const admits = (who: string, isOwn: boolean) => {
    const speaking = statements.filter((statement) => applies(statement, who, isOwn))
    return (
      speaking.some(({ Effect }) => Effect === 'Allow') &&
      !speaking.some(({ Effect, Resource }) => Effect === 'Deny' && isEverything(Resource))
    )
  }
  return { own: admits(account, true), foreign: admits('another account', false) }
}

/** What names its resources one by one (Amazon's own buckets) leads to these, and to no account that somebody chose. */
function applies({ Effect, Resource, Condition = {} }: Statement, who: string, isOwn: boolean): boolean {
  if (Effect === 'Allow' && !isOwn && !isEverything(Resource)) return false
  return Object.entries(Condition).every(([operator, keys]) =>
    Object.entries(keys).every(([key, wanted]) => !aboutAccounts.has(key) || isMet(operator, [wanted].flat(), who)),
  )
}

const aboutAccounts = new Set(['aws:PrincipalAccount', 'aws:ResourceAccount', 'aws:SourceAccount'])

function isMet(operator: string, wanted: readonly unknown[], who: string): boolean {
  const isNamed = wanted.some((account) => String(account) === who)
  return operator.includes('Not') ? !isNamed : isNamed
}

function isEverything(resource: unknown): boolean {
  return [resource].flat().some((one) => one === '*' || one === 'arn:aws:s3:::*')
}
