import { glob } from 'node:fs/promises'
import { installPackages } from './debian-package.ts'

/** Java 17, whatever else is on the path: without a security manager, as in Java 24, the search servers do not start. */
export async function java17(): Promise<string> {
  const found = await findJava17()
  if (found) return found
  await installPackages(['openjdk-17-jre-headless'])
  const installed = await findJava17()
  if (!installed) throw new Error('The package openjdk-17-jre-headless did not bring Java 17')
  return installed
}

async function findJava17(): Promise<string | undefined> {
  for await (const program of glob('/usr/lib/jvm/java-17-openjdk-*/bin/java')) return program
  return undefined
}
