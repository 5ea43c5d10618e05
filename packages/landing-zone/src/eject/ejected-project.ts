/**
 * A CDK project that belongs to the user: what of it one edits stands in `bin` and `lib`, the constructs are a package
 * beside it. It needs nothing of ours afterwards, and synthesises to the same templates.
 */
import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import type { LandingZone } from '@replatform/core/landing-zone-estate'
import { phases } from '../plan/blueprint.ts'
import { sourceClosure, withImports } from './source-closure.ts'

export interface ProjectFile {
  /** With slashes, below the project's folder. */
  readonly name: string
  readonly text: string
}

export interface EjectOptions {
  readonly estate: string
  readonly landingZone: LandingZone
  /** What a synthesis without context means. */
  readonly environment: string
  readonly phase: (typeof phases)[number]
}

/** What we use ourselves is what an ejected project asks for. */
const ownManifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  readonly license: string
  readonly dependencies: Readonly<Record<'aws-cdk-lib' | 'constructs' | 'typebox', string>>
}

const constructsName = 'landing-zone-constructs'
/** What an owner edits first: which stacks there are, and what stands in each. */
const ownFiles = ['stacks/environment.ts', 'stacks/stores.ts']

/** Reads files of ours and nothing else; writes nothing. No address or secret of a store is in what it returns. */
export function ejectedProject(options: EjectOptions): ProjectFile[] {
  const sources = [...sourceClosure([...ownFiles, 'core/landing-zone-estate.ts'])]
  return [
    { name: 'README.md', text: readme(options) },
    { name: 'package.json', text: projectManifest(options) },
    { name: 'cdk.json', text: json(cdkSettings) },
    { name: 'tsconfig.json', text: json(compilerSettings) },
    { name: '.gitignore', text: 'node_modules/\ncdk.out/\n' },
    { name: 'bin/landing-zone.ts', text: entry(options) },
    { name: 'lib/description.ts', text: description(options) },
    { name: 'constructs/package.json', text: constructsManifest() },
    ...sources.map(([path, text]) => movedSource(path, text)).toSorted((a, b) => a.name.localeCompare(b.name)),
  ]
}

function movedSource(path: string, text: string): ProjectFile {
  const isOwn = ownFiles.includes(path)
  const nameFor = (imported: string) => {
    if (!isOwn) return relative(path, imported)
    if (ownFiles.includes(imported)) return `./${posix.basename(imported)}`
    return `${constructsName}/${imported.replace(/\.ts$/, '')}`
  }
  return {
    name: isOwn ? `lib/${posix.basename(path)}` : `constructs/src/${path}`,
    text: withImports(text, path, nameFor),
  }
}

function relative(from: string, to: string): string {
  const path = posix.relative(posix.dirname(from), to)
  return path.startsWith('.') ? path : `./${path}`
}

function entry({ environment, phase }: EjectOptions): string {
  return `import { App } from 'aws-cdk-lib'
import { type Phase, phases, plan } from '${constructsName}/plan/blueprint'
import { estate, landingZone } from '../lib/description.ts'
import { addEnvironment } from '../lib/environment.ts'

const app = new App({ analyticsReporting: false, treeMetadata: false })
const environment: string = app.node.tryGetContext('environment') ?? '${environment}'
const phase: Phase = app.node.tryGetContext('phase') ?? '${phase}'
if (!phases.includes(phase)) throw new Error(\`There is no phase "\${phase}"; there are: \${phases.join(', ')}.\`)

const { blueprint, findings } = plan({ estate, landingZone, environment, phase })
for (const { severity, title, evidence, remedy } of findings) {
  console.error(\`\${severity}: \${title} \${evidence.join('; ')} → \${remedy}\`)
}
if (!blueprint) throw new Error('Blockers stand above: nothing was written.')
addEnvironment(app, blueprint)
app.synth()
`
}

function description({ estate, landingZone }: EjectOptions): string {
  return `import type { LandingZone } from '${constructsName}/core/landing-zone-estate'

export const estate = ${JSON.stringify(estate)}

/** What is built, and why. The compiler knows every field; contradictions are told when the app runs. */
export const landingZone: LandingZone = ${literal(landingZone)}
`
}

/** As people write it: keys without quotes where they need none. */
function literal(value: unknown): string {
  return JSON.stringify(value, null, 2).replaceAll(/^(\s*)"([A-Za-z_]\w*)":/gm, '$1$2:')
}

function projectManifest({ estate, environment, phase }: EjectOptions): string {
  const { 'aws-cdk-lib': cdk, constructs } = ownManifest.dependencies
  return json({
    name: `${estate}-landing-zone`,
    version: '1.0.0',
    private: true,
    type: 'module',
    engines: { node: '>=22.18' },
    workspaces: ['constructs'],
    scripts: {
      synth: `cdk synth --quiet -c environment=${environment} -c phase=${phase}`,
      check: 'tsc --noEmit',
    },
    dependencies: { 'aws-cdk-lib': cdk, constructs, [constructsName]: '1.0.0' },
    devDependencies: { '@types/node': '^24', 'aws-cdk': '^2.1148.0', 'typescript': '>=5.9' },
  })
}

function constructsManifest(): string {
  const { 'aws-cdk-lib': cdk, constructs } = ownManifest.dependencies
  return json({
    name: constructsName,
    version: '1.0.0',
    private: true,
    license: ownManifest.license,
    type: 'module',
    exports: { './*': './src/*.ts' },
    dependencies: { 'aws-cdk-lib': cdk, constructs, 'typebox': ownManifest.dependencies.typebox },
  })
}

/** Without these the CDK's command line adds metadata of its own to every resource. */
const cdkSettings = {
  app: 'node bin/landing-zone.ts',
  pathMetadata: false,
  assetMetadata: false,
  versionReporting: false,
}

const compilerSettings = {
  compilerOptions: {
    target: 'es2024',
    lib: ['es2024', 'esnext.collection'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
  },
  include: ['bin', 'lib', 'constructs/src'],
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

function readme({ estate, landingZone, environment, phase }: EjectOptions): string {
  const environments = Object.keys(landingZone.environments).join(', ')
  return `# The AWS side of ${estate}

A CDK project of your own. Nothing writes to it any more but you.

| Where | What |
|---|---|
| \`lib/description.ts\` | what is built, and why: networks, services, stores |
| \`lib/environment.ts\`, \`lib/stores.ts\` | which stacks there are, and which construct stands in which |
| \`bin/landing-zone.ts\` | the entry; environment and phase come from context |
| \`constructs/\` | the constructs, a package: change them, or publish them for your other teams |

\`\`\`
npm install
npx cdk synth --quiet -c environment=${environment} -c phase=${phase}
npm run check
\`\`\`

Environments: ${environments}. Phases: ${phases.join(', ')}. Node 22.18 or newer runs the TypeScript as it is.

A resource that serves no requirement (\`serving\`) fails the synthesis. Rules, the proof of what is open, prices and
pictures stay with \`replatform infra\`, which works on the estate file and knows nothing of changes made here.
`
}
