import { TestMover } from '@replatform/testkit/mover-process'

const main = new URL('./mover-main.ts', import.meta.url)

/** A mover of this connector in a process of its own. */
export function startMover(move: string, urls: { source: string; target: string }): Promise<TestMover> {
  const kind = 'postgresql'
  return TestMover.start({ main, move, source: { kind, url: urls.source }, target: { kind, url: urls.target } })
}
