import type { Blueprint } from '../plan/blueprint.ts'
import { type Claim, claimsOf } from './claims.ts'

/** A shell script that proves in an account what the templates cannot show. Whatever disturbs stands as a comment. */
export function acceptanceScript(blueprint: Blueprint): string {
  const { estate, environment, region, settings } = blueprint
  return [
    '#!/bin/bash',
    `# Acceptance of ${estate}, ${environment}: account ${settings.account}, ${region}. Generated; run it with rights to read.`,
    '# Lines that begin with "# DISTURBS" change something: take the mark away when you mean it, in a window.',
    'set -u',
    `export AWS_REGION=${region}`,
    'failed=0',
    'prove() { # id, pattern, command',
    '  answer=$(bash -c "$3" 2>&1)',
    '  if [ -z "$2" ]; then echo "LOOK  $1: $answer"; return; fi',
    '  if grep -Eq "$2" <<<"$answer"; then echo "ok    $1"; else echo "FAILED $1: $answer"; failed=1; fi',
    '}',
    `account=$(aws sts get-caller-identity --query Account --output text) || exit 1`,
    `[ "$account" = ${settings.account} ] || { echo "This is account $account, not ${settings.account}."; exit 1; }`,
    '',
    ...claimsOf(blueprint).flatMap(lines),
    'exit $failed',
    '',
  ].join('\n')
}

function lines({ id, claim, command, expects, pattern = '', disturbs }: Claim): string[] {
  const call = `prove ${id} ${quoted(pattern)} ${quoted(command)}`
  return [`# ${claim}`, `# Expected: ${expects}`, disturbs ? `# DISTURBS ${call}` : call, '']
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
