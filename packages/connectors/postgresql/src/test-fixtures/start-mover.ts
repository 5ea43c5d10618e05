import { TestMover } from '@replatform/testkit/mover-process'

const main = new URL('./mover-main.ts', import.meta.url)

/** A mover of this connector in a process of its own. */
export function startMover(
  move: string,
  urls: { source: string; target: string },
  options: { readonly spool?: { readonly folder: string } } = {},
): Promise<TestMover> {
  const kind = 'postgresql'
  const sides = { source: { kind, url: urls.source }, target: { kind, url: urls.target } } as const
  return TestMover.start({ main, move, ...sides, ...options })
}
