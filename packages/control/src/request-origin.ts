import { AsyncLocalStorage } from 'node:async_hooks'

/** From where a request came that is being served; entries of the audit log take it from here. */
const origin = new AsyncLocalStorage<string>()

/** What a worker does by itself, such as the end of an operation. */
export const ownOrigin = 'worker'

export function withOrigin<T>(from: string, act: () => T): T {
  return origin.run(from, act)
}

export function originNow(): string {
  return origin.getStore() ?? ownOrigin
}
