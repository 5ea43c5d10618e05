/** Writes docs/errors.md from the error catalogue. Run after a change of the catalogue. */
import { exitCodes, exitOf } from '@replatform/cli/exit-codes'
import { type CatalogueEntry, catalogue, type ErrorCode } from '@replatform/core/error-catalogue'
import type { Retry } from '@replatform/core/errors'
import { type GeneratedFile, writeGenerated } from './generated-file.ts'

export const errorsDoc: GeneratedFile = {
  url: new URL('../docs/errors.md', import.meta.url),
  render: () => [introduction, exitCodeTable(), ...Object.entries(catalogue).map(section)].join('\n'),
}

const introduction = `<!-- Generated from packages/core/src/error-catalogue.ts by scripts/generate-errors-doc.ts. -->
# Errors

Every error has a code that stays the same from version to version, and says what happened, what is untouched and what
to do next. Under \`--json\` it stands as \`{"error": {"code", "retry", "message", "untouched", "next"}}\` on standard
output. Values of secrets and rows never appear in errors.
`

function exitCodeTable(): string {
  const rows = Object.values(exitCodes).map(({ code, meaning }) => `| ${code} | ${meaning} |`)
  return `## Exit codes\n\n| Code | Meaning |\n|---|---|\n${rows.join('\n')}\n\n## Codes\n`
}

const whoActs: Readonly<Record<Retry, string>> = {
  retry: 'the product itself: it tries again, with growing pauses',
  operator: 'a person',
  terminal: 'nobody: the move must not go on as it is',
}

function section([code, entry]: [string, CatalogueEntry]): string {
  const exit = exitCodes[exitOf(code as ErrorCode)]
  return `### ${code}

${entry.meaning}

- Untouched: ${entry.untouched}
- What to do: ${entry.next}
- Who acts: ${whoActs[entry.retry]} (\`${entry.retry}\`)
- Exit code: ${exit.code}
`
}

if (import.meta.main) writeGenerated(errorsDoc)
