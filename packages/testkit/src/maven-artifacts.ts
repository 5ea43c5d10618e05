import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debianProgram } from './debian-package.ts'
import { runProgram } from './run-program.ts'

export interface MavenArtifacts {
  /** `group:artifact:version`; only these come, and nothing of what they say they depend on. */
  readonly jars: readonly string[]
  /** Packed as zip, and unpacked. */
  readonly trees?: readonly string[]
}

/** Puts the jars into `<folder>/jars` under the names that Maven gives them, and the trees into `<folder>/trees`. */
export async function fetchMavenArtifacts(folder: string, { jars, trees = [] }: MavenArtifacts): Promise<void> {
  const maven = await debianProgram('mvn', 'maven')
  console.error(`replatform: fetching ${jars.length + trees.length} Maven artifacts`)
  const project = join(folder, 'pom.xml')
  await writeFile(project, projectFile(folder, { jars, trees }))
  // A repository of its own: two Mavens that write to the same one at once can spoil it.
  const repository = `-Dmaven.repo.local=${join(folder, 'repository')}`
  const args = ['--quiet', '--batch-mode', repository, '--file', project, 'package']
  try {
    // Maven complains on standard output.
    await runProgram('/bin/sh', ['-c', 'exec "$0" "$@" >&2', maven, ...args])
  } catch (error) {
    const [first = ''] = trees.length > 0 ? trees : jars
    const command = `mvn dependency:get -Dartifact=${first}${trees.length > 0 ? ':zip' : ''}`
    throw new Error(`${first} and what belongs to it could not be fetched; see what this says: ${command}`, {
      cause: error,
    })
  }
}

/** Name of the file that the artifact arrives as. */
export function jarName(artifact: string): string {
  const [, name, version] = artifact.split(':')
  return `${name}-${version}.jar`
}

function projectFile(folder: string, { jars, trees = [] }: MavenArtifacts): string {
  const dependencies = [...jars.map((jar) => dependency(jar, 'jar')), ...trees.map((tree) => dependency(tree, 'zip'))]
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>rig</groupId><artifactId>rig</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    ${dependencies.join('\n    ')}
  </dependencies>
  <build><plugins><plugin>
    <groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId><version>3.6.1</version>
    <executions>
      ${execution('copy-dependencies', { outputDirectory: join(folder, 'jars'), excludeTypes: 'zip' })}
      ${execution('unpack-dependencies', { outputDirectory: join(folder, 'trees'), includeTypes: 'zip' })}
    </executions>
  </plugin></plugins></build>
</project>
`
}

function dependency(artifact: string, type: string): string {
  const [group, name, version] = artifact.split(':')
  return (
    `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version>` +
    `<type>${type}</type>` +
    '<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>'
  )
}

function execution(goal: string, configuration: Readonly<Record<string, string>>): string {
  const lines = Object.entries(configuration).map(([name, value]) => `<${name}>${value}</${name}>`)
  return (
    `<execution><id>${goal}</id><phase>package</phase><goals><goal>${goal}</goal></goals>` +
    `<configuration>${lines.join('')}</configuration></execution>`
  )
}
