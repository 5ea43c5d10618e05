/**
 * Works on items as they come, so many at once. The first failure ends it, is thrown when no work is under way any
 * more, and leaves the rest of the items where they are.
 */
export async function eachAtOnce<T>(
  items: AsyncIterable<T> | Iterable<T>,
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  let failure: { readonly thrown: unknown } | null = null
  const worker = async (): Promise<void> => {
    try {
      while (!failure) {
        const next = await iterator.next()
        if (next.done || failure) return
        await work(next.value)
      }
    } catch (thrown) {
      failure ??= { thrown }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  await iterator.return?.()
  if (failure) throw (failure as { readonly thrown: unknown }).thrown
}
