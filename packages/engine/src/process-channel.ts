import type { Channel } from './mover-protocol.ts'

/** The child's end of the IPC channel to the worker that forked this process. Closes when the worker dies. */
export function parentChannel(): Channel {
  return {
    send: (message) => {
      if (process.connected) process.send?.(message, undefined, undefined, () => {})
    },
    onMessage: (handler) => {
      process.on('message', handler)
    },
    onClose: (handler) => {
      process.once('disconnect', handler)
    },
  }
}
