/**
 * Runs `work` over `items` with at most `width` under way, and yields results as they finish.
 * The first error stops the rest and is thrown after what is under way has settled.
 */
export async function* parallel<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  width: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const running = new Map<number, Promise<{ id: number; result: R }>>()
  let next = 0
  try {
    for await (const item of items) {
      const id = next++
      running.set(
        id,
        work(item).then(result => ({ id, result })),
      )
      if (running.size >= width) {
        const { id: done, result } = await Promise.race(running.values())
        running.delete(done)
        yield result
      }
    }
    while (running.size > 0) {
      const { id: done, result } = await Promise.race(running.values())
      running.delete(done)
      yield result
    }
  } finally {
    await Promise.allSettled(running.values())
  }
}
