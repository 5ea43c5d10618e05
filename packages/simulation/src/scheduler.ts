interface Event {
  readonly at: number
  readonly order: number
  readonly isQuiet: boolean
  act: (() => void) | null
}

export interface Scheduled {
  cancel(): void
}

/** Time that passes only from event to event. Events of the same instant happen in the order they were planned in. */
export class Scheduler {
  now = 0
  steps = 0
  readonly #heap: Event[] = []
  #planned = 0

  /** `isQuiet`: the act wakes up no promise, so that nobody needs to be waited for after it. */
  after(ms: number, act: () => void, isQuiet = false): Scheduled {
    const event: Event = { at: this.now + Math.max(ms, 0), order: this.#planned++, isQuiet, act }
    this.#push(event)
    return {
      cancel: () => {
        event.act = null
      },
    }
  }

  /** Runs until `isOver`, or until nothing is left to happen. `eachStep` sees the world after every event. */
  async run(isOver: () => boolean, eachStep: () => void): Promise<void> {
    while (!isOver()) {
      const event = this.#pop()
      if (!event) return
      if (!event.act) continue
      this.now = event.at
      this.steps += 1
      event.act()
      if (!event.isQuiet) await everythingThatFollows()
      eachStep()
    }
  }

  #push(event: Event): void {
    const heap = this.#heap
    let index = heap.push(event) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (isBefore(heap[parent] as Event, event)) break
      heap[index] = heap[parent] as Event
      index = parent
    }
    heap[index] = event
  }

  #pop(): Event | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (!first || !last || first === last) return first
    let index = 0
    for (;;) {
      const left = 2 * index + 1
      if (left >= heap.length) break
      const right = left + 1
      const child = right < heap.length && isBefore(heap[right] as Event, heap[left] as Event) ? right : left
      if (isBefore(last, heap[child] as Event)) break
      heap[index] = heap[child] as Event
      index = child
    }
    heap[index] = last
    return first
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

/** Promises that the event woke up, and those that they woke up in turn, are done before the next turn of the loop. */
function everythingThatFollows(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
