/**
 * Owns the servers that `npm run rig -- up` starts, until it is told to end. They die with it, however it dies, and
 * nothing but its folder of the checkout remembers them.
 *
 *   node rig-keeper.ts <state folder> tls|plain <member>…
 */

import { once } from 'node:events'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { rigAuthority } from './certificate-authority.ts'
import { isRigMemberName } from './rig-member-name.ts'
import { type RigMember, startMembers } from './rig-members.ts'
import { type RigMemberStatus, type RigState, rigStateFile } from './rig-state.ts'
import { processesUnder } from './server-process.ts'
import { createTempFolder } from './temp-folder.ts'

const [stateFolder = '', mode, ...names] = process.argv.slice(2)

const told = new Promise<void>((resolve) => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => resolve())
})

const stateFile = rigStateFile(stateFolder)
const members = await startMembers(names.filter(isRigMemberName), { tls: mode === 'tls' })
await using folder = await createTempFolder('rig-keeper')
const socket = join(folder.path, 'status.sock')
const desk = createServer(async (_request, response) => {
  const statuses = await Promise.all([...members].map(([name, member]) => statusOf(name, member)))
  response.setHeader('content-type', 'application/json').end(JSON.stringify(statuses))
})
await once(desk.listen(socket), 'listening')
await writeSecret(join(stateFolder, 'estate.env'), await environment())
await writeSecret(stateFile, JSON.stringify(state(), undefined, 2))

await told
desk.close()
await Promise.all([...members.values()].map((member) => member[Symbol.asyncDispose]()))
await Promise.all(['estate.env', 'estate.json'].map((name) => rm(join(stateFolder, name), { force: true })))

function state(): RigState {
  return {
    pid: process.pid,
    socket,
    members: Object.fromEntries([...members].map(([name, { url }]) => [name, url])),
  }
}

async function statusOf(name: string, member: RigMember): Promise<RigMemberStatus> {
  const started = performance.now()
  const problem = await member.check().then(
    () => undefined,
    (error: unknown) => String(error),
  )
  return {
    name,
    address: member.url.replace(/\/\/[^/]*@/, '//').replace(/\?.*/, ''),
    tls: member.authority !== undefined,
    answers: problem === undefined,
    ...(problem && { problem }),
    answerMs: Math.round(performance.now() - started),
    memoryBytes: await memoryBytes(member),
    folders: member.folders,
  }
}

/** What the processes would give back if they ended: memory that they share is counted once. */
async function memoryBytes({ folders }: RigMember): Promise<number> {
  const pids = (await Promise.all(folders.map(processesUnder))).flat()
  const shares = await Promise.all(
    pids.map(async (pid) => {
      const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'latin1').catch(() => '')
      return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1024
    }),
  )
  return shares.reduce((sum, share) => sum + share, 0)
}

/** For a shell that runs tests against these servers: they replace those that the tests would start. */
async function environment(): Promise<string> {
  const lines = [...members].map(([name, { url }]) => `RIG_${name.toUpperCase().replaceAll('-', '_')}_URL='${url}'`)
  return `${[...lines, `RIG_AUTHORITY_FILE='${(await rigAuthority()).file}'`].join('\n')}\n`
}

/** Complete or not there at all: whoever waits for it reads it at once. */
async function writeSecret(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content, { mode: 0o600 })
  await rename(`${path}.new`, path)
}
