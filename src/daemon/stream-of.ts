import type { WorkRecord } from '../../schemas/index.ts'

/**
 * Turns work that reports by a callback into a stream of records that ends with its result.
 * When the reader stops early, the work is still waited for.
 */
export async function* streamOf<T>(
  work: (emit: (record: WorkRecord) => void) => Promise<T>,
): AsyncGenerator<WorkRecord, T> {
  const queue: WorkRecord[] = []
  let wake: () => void = () => undefined
  let settled = false
  const running = work(record => {
    queue.push(record)
    wake()
  }).finally(() => {
    settled = true
    wake()
  })
  // Its failure is thrown by the last line; until then it must not count as unhandled.
  running.catch(() => undefined)
  try {
    for (;;) {
      while (queue.length > 0) yield queue.shift()!
      if (settled) break
      await new Promise<void>(resolve => {
        wake = resolve
        if (settled || queue.length > 0) resolve()
      })
    }
  } finally {
    await running.catch(() => undefined)
  }
  return await running
}
