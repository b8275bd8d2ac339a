import type { WorkRecord } from '../../schemas/index.ts'

/** Records kept for a reader that is slow; older progress is dropped first. */
const MAX_WAITING = 1000

/** Records that are told by callbacks, read as an async iterator by one reader at a time. */
export class RecordChannel {
  #waiting: WorkRecord[] = []
  #wake: () => void = () => undefined
  #closed = false

  push(record: WorkRecord): void {
    if (this.#closed) return
    this.#waiting.push(record)
    if (this.#waiting.length > MAX_WAITING) {
      const drop = this.#waiting.findIndex(r => r.action === 'progress')
      this.#waiting.splice(Math.max(0, drop), 1)
    }
    this.#wake()
  }

  /** Ends the iteration after what is still waiting. */
  close(): void {
    this.#closed = true
    this.#wake()
  }

  /** Ends at `close`, or when `signal` fires. */
  async *read(signal?: AbortSignal): AsyncGenerator<WorkRecord, void> {
    const onAbort = () => this.#wake()
    signal?.addEventListener('abort', onAbort)
    try {
      for (;;) {
        while (this.#waiting.length > 0) {
          if (signal?.aborted) return
          yield this.#waiting.shift()!
        }
        if (this.#closed || signal?.aborted) return
        await new Promise<void>(resolve => {
          this.#wake = resolve
          if (this.#waiting.length > 0 || this.#closed || signal?.aborted) resolve()
        })
      }
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }
}
