import { join } from 'node:path'
import { cached } from './cache.ts'
import { installPackages } from './debian-package.ts'
import { runProgram } from './run-program.ts'

export interface PythonEnvironmentOptions {
  readonly name: string
  /** Each with its exact version. */
  readonly requirements: readonly string[]
  /** Only these, without what they say that they need. */
  readonly alone?: boolean
}

// Debian's own, and not the first of PATH: unprivileged users must be able to run it.
const python = '/usr/bin/python3'

/**
 * Folder of a virtual environment that holds Python packages, made once on this machine. Run its programs as
 * `bin/python -m …`: the scripts beside it name the place where it was made.
 */
export async function pythonEnvironment({ name, requirements, alone }: PythonEnvironmentOptions): Promise<string> {
  return cached(name, async (fresh) => {
    console.error(`replatform: fetching ${requirements.join(' ')}`)
    await createVenv(fresh)
    const how = ['--quiet', '--disable-pip-version-check', '--only-binary=:all:', ...(alone ? ['--no-deps'] : [])]
    const pip = join(fresh, 'bin', 'python')
    try {
      await runProgram(pip, ['-m', 'pip', 'install', ...how, ...requirements])
    } catch (error) {
      const command = `pip install ${how.join(' ')} ${requirements.join(' ')}`
      throw new Error(`${name} could not be fetched; see what this says: ${command}`, { cause: error })
    }
  })
}

/** An environment with pip and nothing else. */
export async function createVenv(folder: string): Promise<void> {
  // A fresh Debian has a Python that cannot make environments, or none.
  const able = await runProgram(python, ['-c', 'import ensurepip, venv']).then(
    () => true,
    () => false,
  )
  if (!able) await installPackages(['python3-venv'])
  await runProgram(python, ['-m', 'venv', folder])
}
