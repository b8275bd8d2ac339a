import type { WorkRecord } from '../../schemas/index.ts'
import { RecordChannel } from '../core/record-channel.ts'

/**
 * Turns work that reports by a callback into a stream of records that ends with its result.
 * When the reader stops early, the work is still waited for.
 */
export async function* streamOf<T>(
  work: (emit: (record: WorkRecord) => void) => Promise<T>,
): AsyncGenerator<WorkRecord, T> {
  const channel = new RecordChannel()
  const running = work(record => channel.push(record)).finally(() => channel.close())
  // Its failure is thrown by the last line; until then it must not count as unhandled.
  running.catch(() => undefined)
  try {
    yield* channel.read()
  } finally {
    await running.catch(() => undefined)
  }
  return await running
}
