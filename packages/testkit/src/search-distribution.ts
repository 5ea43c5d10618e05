/**
 * A search server put together from Maven: its official test distribution is a whole server whose only module is the
 * transport; the other modules are published as bare jars and need a descriptor each.
 */
import { chmod, copyFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { fetchMavenArtifacts, jarName } from './maven-artifacts.ts'

export interface SearchDistribution {
  readonly engine: 'elasticsearch' | 'opensearch'
  readonly version: string
  readonly mainClass: string
  /** Beyond what both engines are started with. */
  readonly systemProperties: readonly string[]
  readonly modules: readonly SearchModule[]
}

export interface SearchModule {
  readonly name: string
  /** Of the plugin, below the engine's own package. */
  readonly className: string
  /** `group:artifact:version`. */
  readonly jars: readonly string[]
  /** The module whose classes it sees. */
  readonly extends?: string
  /** What the security manager lets it do. */
  readonly permissions?: readonly string[]
}

/** Folder with the server, fetched and put together once on this machine; anybody can read it. */
export async function assembleSearchServer(distribution: SearchDistribution): Promise<string> {
  const { engine, version, modules } = distribution
  return cached(`${engine}-${version}`, async (fresh) => {
    const fetched = `${fresh}.fetched`
    await mkdir(fetched)
    await fetchMavenArtifacts(fetched, {
      jars: modules.flatMap(({ jars }) => jars),
      trees: [`org.${engine}.distribution.integ-test-zip:${engine}:${version}`],
    })
    const [tree = ''] = await readdir(join(fetched, 'trees'))
    await rename(join(fetched, 'trees', tree), fresh)
    for (const module of modules) await addModule(fresh, join(fetched, 'jars'), distribution, module)
    await makeReadable(fresh)
    await rm(fetched, { recursive: true })
  })
}

async function addModule(
  server: string,
  jars: string,
  distribution: SearchDistribution,
  module: SearchModule,
): Promise<void> {
  const folder = join(server, 'modules', module.name)
  await mkdir(folder)
  for (const jar of module.jars) await copyFile(join(jars, jarName(jar)), join(folder, jarName(jar)))
  await writeFile(join(folder, 'plugin-descriptor.properties'), descriptor(distribution, module))
  if (!module.permissions) return
  const granted = module.permissions.map((permission) => `  permission ${permission};\n`)
  await writeFile(join(folder, 'plugin-security.policy'), `grant {\n${granted.join('')}};\n`)
}

function descriptor({ engine, version }: SearchDistribution, module: SearchModule): string {
  const properties = {
    'name': module.name,
    'description': module.name,
    'version': version,
    'classname': `org.${engine}.${module.className}`,
    'java.version': '1.8',
    [`${engine}.version`]: version,
    'extended.plugins': module.extends ?? '',
    'has.native.controller': 'false',
    ...(engine === 'opensearch' ? { 'custom.foldername': '' } : {}),
  }
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

/** The server runs as somebody else, who owns nothing here. */
async function makeReadable(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    await chmod(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644)
  }
}
