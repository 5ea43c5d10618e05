import type { ErrorCode } from '@replatform/core/error-catalogue'

/** What the process answers to its caller. Scripts rely on these numbers: a change of meaning is a breaking change. */
export const exitCodes = {
  ok: { code: 0, meaning: 'Done.' },
  failed: { code: 1, meaning: 'The work failed; the error says what stays and what to do.' },
  usage: { code: 2, meaning: 'The command line, the estate file or a secret reference is wrong.' },
  refused: {
    code: 3,
    meaning: 'Refused before anything was changed: a finding blocks, or the state does not allow it.',
  },
  differences: { code: 4, meaning: 'Source and target differ.' },
  aborted: { code: 5, meaning: 'The cutover was aborted before its decision; writes go on where they were.' },
  unreachable: { code: 6, meaning: 'A server could not be reached, or refused the user.' },
  interrupted: { code: 130, meaning: 'Interrupted by Ctrl-C; what was committed stays.' },
} as const satisfies Record<string, { readonly code: number; readonly meaning: string }>

export type Exit = keyof typeof exitCodes

type Family<Code extends string> = Code extends `${infer First}.${string}` ? First : Code

/** Every family of codes must stand here, so that no new error goes without an exit code. */
const exitOfFamily: Record<Family<ErrorCode>, Exit> = {
  access: 'refused',
  activemq: 'failed',
  assessment: 'refused',
  auth: 'unreachable',
  connection: 'unreachable',
  control: 'unreachable',
  cutover: 'aborted',
  database: 'unreachable',
  epoch: 'failed',
  estate: 'usage',
  fence: 'aborted',
  gate: 'refused',
  incident: 'refused',
  internal: 'failed',
  'landing-zone': 'refused',
  mover: 'failed',
  operation: 'refused',
  postgresql: 'failed',
  rabbitmq: 'failed',
  redis: 'failed',
  routing: 'failed',
  secret: 'usage',
  source: 'failed',
  state: 'refused',
  target: 'failed',
  tls: 'unreachable',
  tool: 'failed',
  topology: 'refused',
  usage: 'usage',
}

const exceptions: Partial<Record<ErrorCode, Exit>> = {
  'access.unusable': 'usage',
  'cutover.differences': 'differences',
  'cutover.not-ready': 'refused',
  'cutover.whole-wave': 'refused',
  'target.not-empty': 'refused',
  'tool.missing': 'refused',
}

export function exitOf(code: ErrorCode): Exit {
  return exceptions[code] ?? exitOfFamily[code.split('.')[0] as Family<ErrorCode>]
}
