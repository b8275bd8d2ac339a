/**
 * Runs `work` over `items` with at most `width` under way, and yields results as they finish.
 * The first error stops the rest and is thrown after what is under way has settled.
 */
export async function* parallel<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  width: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const running = new Set<Promise<void>>()
  const finished: R[] = []
  const failed: unknown[] = []
  let wake: () => void = () => undefined
  const start = (item: T) => {
    const settle = (list: unknown[]) => (value: unknown) => {
      list.push(value)
      running.delete(job)
      wake()
    }
    const job: Promise<void> = work(item).then(settle(finished), settle(failed))
    running.add(job)
  }
  const someSettled = async () => {
    if (finished.length === 0 && failed.length === 0)
      await new Promise<void>(resolve => {
        wake = resolve
      })
    if (failed.length > 0) throw failed[0]
  }
  try {
    for await (const item of items) {
      start(item)
      if (running.size < width && finished.length === 0 && failed.length === 0) continue
      await someSettled()
      yield* finished.splice(0)
    }
    while (running.size > 0 || finished.length > 0 || failed.length > 0) {
      await someSettled()
      yield* finished.splice(0)
    }
  } finally {
    await Promise.all(running)
  }
}
