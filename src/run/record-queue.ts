import type { WorkRecord } from '../../schemas/index.ts'

const ROOM = 256

/** Hands records of several producers to one consumer, in order; producers wait when it falls behind. */
export class RecordQueue {
  readonly #records: WorkRecord[] = []
  #closed = false
  #wakeReader: (() => void) | null = null
  #wakeWriters: (() => void)[] = []

  async put(record: WorkRecord): Promise<void> {
    while (this.#records.length >= ROOM && !this.#closed)
      await new Promise<void>(resolve => this.#wakeWriters.push(resolve))
    if (this.#closed) return
    this.#records.push(record)
    this.#wakeReader?.()
  }

  /** Nothing more comes; what waits is let go. */
  close(): void {
    this.#closed = true
    this.#wakeReader?.()
    this.#release()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WorkRecord> {
    for (;;) {
      const record = this.#records.shift()
      if (record) {
        this.#release()
        yield record
      } else if (this.#closed) return
      else
        await new Promise<void>(resolve => {
          this.#wakeReader = resolve
        })
    }
  }

  #release(): void {
    for (const wake of this.#wakeWriters.splice(0)) wake()
  }
}
