import { createApi } from './api.ts'
import type { ApiBackend } from './api-backend.ts'

/** The OpenAPI document, as a worker serves it, without one. */
export async function apiDocument(): Promise<object> {
  const silent = { info: () => {}, warn: () => {}, error: () => {} }
  const server = await createApi({} as ApiBackend, silent)
  await server.ready()
  try {
    return server.swagger()
  } finally {
    await server.close()
  }
}
