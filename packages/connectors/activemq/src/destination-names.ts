/**
 * Names on ActiveMQ. `*` and `>` are wildcards, `,` lists several destinations, `?` begins options, `:` and `/` belong to
 * addresses; and a virtual topic finds `Consumer.<one word>.VirtualTopic.<topic>` only while that word has no dot: with
 * one the broker accepts what is published and the queue never gets it.
 */
const unsafe = /[^A-Za-z0-9_.-]+/g

export const virtualTopicPrefix = 'VirtualTopic.'

/** Whether a queue or topic may be called so in a plan. */
export function isSafeName(name: string): boolean {
  return (
    name !== '' && !name.startsWith('.') && !name.endsWith('.') && !name.includes('..') && !/[^A-Za-z0-9_.-]/.test(name)
  )
}

/** Gives names, each once. */
export class DestinationNames {
  readonly #taken = new Set<string>()

  plainQueue(queue: string): string {
    return this.#unique(safe(queue))
  }

  virtualTopic(exchange: string): string {
    return this.#unique(`${virtualTopicPrefix}${safe(exchange)}`)
  }

  consumerQueue(queue: string, topic: string): string {
    const word = safe(queue).replaceAll('.', '-')
    const name = this.#unique(`Consumer.${word}.${topic}`, (n) => `Consumer.${word}-${n}.${topic}`)
    return name
  }

  #unique(name: string, variant = (n: number) => `${name}-${n}`): string {
    let unique = name
    for (let n = 2; this.#taken.has(unique.toLowerCase()); n++) unique = variant(n)
    this.#taken.add(unique.toLowerCase())
    return unique
  }
}

/** The topic that a consumer queue takes from; undefined for a queue that is none, or whose word has a dot. */
export function topicOf(queue: string): string | undefined {
  return /^Consumer\.[^.]+\.(VirtualTopic\..+)$/.exec(queue)?.[1]
}

function safe(name: string): string {
  return (
    name
      .replace(unsafe, '-')
      .replace(/\.{2,}/g, '.')
      .replace(/^\.+|\.+$/g, '') || 'unnamed'
  )
}
