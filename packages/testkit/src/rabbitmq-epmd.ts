/**
 * Erlang's port mapper for one node. A node that finds none starts one by itself, which then outlives it and is shared
 * with whatever Erlang program comes next; one of our own is stopped by its id.
 */
import { connect } from 'node:net'
import { Daemon } from './daemon.ts'
import { debianProgram } from './debian-package.ts'

export async function startEpmd(): Promise<Daemon> {
  const daemon = await Daemon.create({
    name: 'epmd',
    program: await debianProgram('epmd', 'erlang-base'),
    args: (port) => ['-address', '127.0.0.1', '-port', String(port)],
    ready: () => askNames(daemon.port),
  })
  try {
    await daemon.start()
    return daemon
  } catch (error) {
    await daemon[Symbol.asyncDispose]()
    throw error
  }
}

/** NAMES_REQ: the length of the request, then its tag; any answer shows that it serves. */
function askNames(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(Buffer.from([0, 1, 110])))
    socket.setTimeout(5_000, () => socket.destroy(new Error('epmd does not answer')))
    socket.once('data', () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', reject)
    socket.once('end', () => reject(new Error('epmd closed the connection')))
  })
}
