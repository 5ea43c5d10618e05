/**
 * RabbitMQ 4.0 of Debian 13 on a machine that is older: its Erlang runs with the libraries that it was built with, by
 * their paths, and nothing of the machine changes.
 */
import { chmod, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debianProgram, unpackSuite } from './debian-package.ts'
import { runProgram } from './run-program.ts'

export interface RabbitmqFiles {
  readonly program: string
  /** Ahead of the machine's own programs; undefined where these are the right ones. */
  readonly erlang: string | undefined
}

const erlangParts =
  'asn1 crypto eldap inets mnesia os-mon parsetools public-key runtime-tools ssl syntax-tools tools xmerl'
const libraries = ['libc6', 'libstdc++6', 'libgcc-s1', 'libtinfo6', 'zlib1g', 'libssl3t64', 'libzstd1', 'libsctp1']
const packages = [
  'rabbitmq-server',
  'erlang-base',
  ...erlangParts.split(' ').map((part) => `erlang-${part}`),
  ...libraries,
]
const libraryFolder = 'usr/lib/x86_64-linux-gnu'

/** Throws where Debian's archive cannot be reached or the processor is another one. */
export async function rabbitmq4Files(): Promise<RabbitmqFiles> {
  if (process.arch !== 'x64') throw new Error('RabbitMQ 4 is put together for x86-64 only')
  const [first = '', ...others] = packages
  const folder = await unpackSuite('trixie', [first, ...others], settleErlang)
  return {
    program: join(folder, 'usr/lib/rabbitmq/bin/rabbitmq-server'),
    erlang: join(folder, 'usr/lib/erlang/bin'),
  }
}

/** Makes the unpacked Erlang run from the folder where it will lie. */
async function settleErlang(fresh: string, final: string): Promise<void> {
  const patchelf = await debianProgram('patchelf', 'patchelf')
  const libraryPath = join(final, libraryFolder)
  // A path that also holds for what the libraries load: the machine's own would not fit.
  const rpath = ['--force-rpath', '--set-rpath', libraryPath]
  const interpreter = ['--set-interpreter', join(libraryPath, 'ld-linux-x86-64.so.2')]
  const root = join(fresh, 'usr/lib/erlang')
  for (const path of await filesBelow(root)) {
    const isLibrary = path.endsWith('.so')
    if (await isElf(path)) await runProgram(patchelf, [...(isLibrary ? [] : interpreter), ...rpath, path])
  }
  const script = join(root, 'bin/erl')
  const text = await readFile(script, 'utf8')
  await writeFile(script, text.replaceAll('ROOTDIR=/usr/lib/erlang', `ROOTDIR=${join(final, 'usr/lib/erlang')}`))
  await chmod(script, 0o755)
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return files.map(({ parentPath, name }) => join(parentPath, name)).filter((path) => /\/bin\/|\.so$/.test(path))
}

async function isElf(path: string): Promise<boolean> {
  await using file = await open(path)
  const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0)
  return buffer.toString('latin1') === '\x7fELF'
}
