/**
 * What we use of the client. Its own declarations cannot be reached from an ES module: its package offers them to
 * `require` only. It is the last version of the client that also speaks to OpenSearch.
 */
declare module '@elastic/elasticsearch' {
  export interface ApiResponse<Body> {
    readonly body: Body
    readonly statusCode: number | null
  }

  export interface ClientOptions {
    readonly node: string
    readonly auth?: { readonly username: string; readonly password: string }
    readonly requestTimeout?: number
    readonly maxRetries?: number
  }

  export class Client {
    constructor(options: ClientOptions)
    readonly indices: {
      putTemplate(options: { name: string; body: object }): Promise<ApiResponse<unknown>>
      exists(options: { index: string }): Promise<ApiResponse<boolean>>
      create(options: { index: string; body: object }): Promise<ApiResponse<unknown>>
    }
    bulk<Body>(options: { body: readonly object[] }): Promise<ApiResponse<Body>>
    search<Body>(options: { index: string; body: object; ignore_unavailable?: boolean }): Promise<ApiResponse<Body>>
    ping(): Promise<ApiResponse<boolean>>
    close(): Promise<void>
  }

  export const errors: {
    readonly ResponseError: new (response: ApiResponse<unknown>) => Error & { readonly statusCode: number | undefined }
  }
}
