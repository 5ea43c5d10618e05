/**
 * Erlang's port mapper for one node. A node that finds none starts one by itself, which then outlives it and is shared
 * with whatever Erlang program comes next; one of our own is stopped by its id.
 */
import { connect } from 'node:net'
import { join } from 'node:path'
import { debianProgram } from './debian-package.ts'
import type { OsUser } from './os-user.ts'
import { RestartableServer } from './restartable-server.ts'
import { createTempFolder } from './temp-folder.ts'

export async function startEpmd(port: number, user: OsUser | undefined): Promise<RestartableServer> {
  const program = await debianProgram('epmd', 'erlang-base')
  const folder = await createTempFolder('epmd', user)
  return RestartableServer.start({
    folder,
    command: {
      program,
      args: ['-address', '127.0.0.1', '-port', String(port)],
      cwd: folder.path,
      logFile: join(folder.path, 'epmd.log'),
      user,
    },
    ready: () => askNames(port),
  })
}

/** NAMES_REQ: the length of the request, then its tag; any answer shows that it serves. */
function askNames(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(Buffer.from([0, 1, 110])))
    socket.once('data', () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', reject)
    socket.once('end', () => reject(new Error('epmd closed the connection')))
  })
}
