/** Writes docs/31-pci-dss.md from the rules of the landing zone. Run after a change of a rule. */
import { rules } from '@replatform/landing-zone/check/check'
import { pciRequirements } from '@replatform/landing-zone/check/pci-requirements'
import { type GeneratedFile, writeGenerated } from './generated-file.ts'

export const pciDoc: GeneratedFile = {
  url: new URL('../docs/31-pci-dss.md', import.meta.url),
  render: () => [introduction, requirementTable(), ruleTable(), ''].join('\n'),
}

const introduction = `<!-- Generated from packages/landing-zone/src/check by scripts/generate-pci-doc.ts. -->
# PCI-DSS 4.0.1: what the templates give evidence for

Each rule is held over the templates by \`replatform infra check\`; each has been seen to fail
(\`packages/landing-zone/src/check/rules-fail.test.ts\`). A rule that holds is evidence for a control and never
compliance: what stays with you stands beside it. Topics are ours, in short; the standard's own words decide.
Evidence: \`replatform infra check --json\`, kept with the change that it belongs to.
`

function requirementTable(): string {
  const rows = pciRequirements.map(({ id, topic, staysWithYou }) => {
    const names = rules.filter(({ pci }) => pci.includes(id)).map((rule) => `\`${rule.id}\``)
    return `| ${id} | ${topic} | ${names.join(', ') || evidenceElsewhere[id] || 'no rule'} | ${staysWithYou} |`
  })
  return `## Requirements\n\n| Requirement | Topic | Evidence | Stays with you |\n|---|---|---|---|\n${rows.join('\n')}\n`
}

/** Shown by a command and not by a rule. */
const evidenceElsewhere: Readonly<Record<string, string>> = {
  '1.2.4': '`infra draw --data-flow`',
  '6.5.3': 'the finding `landing-zone.account-shared`; one network and one set of keys an environment',
}

function ruleTable(): string {
  const rows = rules.map(({ id, wants, pci }) => `| \`${id}\` | ${wants} | ${pci.join(', ') || 'availability, cost'} |`)
  return `## Rules\n\n| Rule | What must be so | Requirements |\n|---|---|---|\n${rows.join('\n')}`
}

if (import.meta.main) writeGenerated(pciDoc)
