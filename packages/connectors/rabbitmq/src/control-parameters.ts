import type { ManagementApi } from './management-api.ts'

/**
 * What a move must remember on a broker: global runtime parameters, which RabbitMQ keeps with its definitions and which
 * survive restarts. They hold no secret: who may see the management API may see them.
 */
export class ControlParameters {
  readonly #api: ManagementApi
  readonly #prefix: string

  constructor(api: ManagementApi, move: string) {
    this.#api = api
    this.#prefix = `replatform.${move}`
  }

  async read<T>(name: string): Promise<T | null> {
    const found = await this.#api.find<{ value: T }>(`global-parameters/${this.#prefix}.${name}`)
    return found?.value ?? null
  }

  async write(name: string, value: unknown): Promise<void> {
    await this.#api.put(`global-parameters/${this.#prefix}.${name}`, { value })
  }

  async remove(name: string): Promise<void> {
    await this.#api.remove(`global-parameters/${this.#prefix}.${name}`)
  }

  /** Of everything that this move wrote. */
  async names(): Promise<string[]> {
    const all = await this.#api.get<{ name: string }[]>('global-parameters')
    const own = `${this.#prefix}.`
    return all.filter(({ name }) => name.startsWith(own)).map(({ name }) => name.slice(own.length))
  }
}
