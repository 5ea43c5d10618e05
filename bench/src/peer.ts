import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Installs Debian packages whose program is not there; needs root, or sudo without a password. */
export async function requirePrograms(programs: Readonly<Record<string, string>>): Promise<void> {
  const missing: string[] = []
  for (const [path, debianPackage] of Object.entries(programs)) {
    await access(path).catch(() => missing.push(debianPackage))
  }
  if (missing.length === 0) return
  const install = fileURLToPath(new URL('../../scripts/apt-install', import.meta.url))
  const isRoot = process.getuid?.() === 0
  await run(isRoot ? install : 'sudo', isRoot ? missing : ['-n', install, ...missing])
}
