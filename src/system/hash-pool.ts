import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type ErrorCode, ReproError } from '../core/errors.ts'
import { blake3Backend } from './blake3.ts'
import { type HashedFile, hashFile } from './hash-file.ts'

interface Answer extends Partial<HashedFile> {
  readonly id: number
  readonly error?: { readonly code?: ErrorCode; readonly errno?: string; readonly message: string }
}

/** Below this many bytes a thread costs more than it saves. */
const WORTH_A_THREAD_BYTES = 8 << 20
const WORTH_A_THREAD_FILES = 256

/**
 * Hashes files in as many threads as there are processors. Small jobs, and hosts without the native
 * BLAKE3, are hashed in the calling thread. Close it when done.
 */
export class HashPool {
  readonly #workers: Worker[] = []
  readonly #pending = new Map<
    number,
    { resolve(file: HashedFile): void; reject(error: unknown): void; path: string }
  >()
  #next = 0

  constructor(expectedBytes: number, expectedFiles: number) {
    if (blake3Backend !== 'native') return
    if (expectedBytes < WORTH_A_THREAD_BYTES && expectedFiles < WORTH_A_THREAD_FILES) return
    for (let i = 0; i < Math.min(availableParallelism(), 8); i++) this.#workers.push(this.#start())
  }

  /** How many files are worth having under way at once. */
  get width(): number {
    return Math.max(8, this.#workers.length * 4)
  }

  /** As `hashFile`. */
  async hash(path: string, signal?: AbortSignal): Promise<HashedFile> {
    signal?.throwIfAborted()
    if (this.#workers.length === 0) return await hashFile(path, signal)
    const id = this.#next++
    return await new Promise<HashedFile>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, path })
      const worker = this.#workers[id % this.#workers.length]!
      // Only a thread at work keeps the process alive: a pool at rest lets it end.
      for (const one of this.#workers) one.ref()
      worker.postMessage({ id, path })
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map(worker => worker.terminate()))
  }

  #start(): Worker {
    const worker = new Worker(new URL('./hash-worker.mjs', import.meta.url))
    worker.on('message', (answer: Answer) => this.#settle(answer))
    worker.on('error', error => {
      for (const job of this.#pending.values()) job.reject(error)
      this.#pending.clear()
    })
    worker.unref()
    return worker
  }

  #settle({ id, error, ...file }: Answer): void {
    const job = this.#pending.get(id)
    if (!job) return
    this.#pending.delete(id)
    if (this.#pending.size === 0) for (const worker of this.#workers) worker.unref()
    if (!error) job.resolve(file as HashedFile)
    else if (error.code)
      job.reject(new ReproError(error.code, error.message, { data: { path: job.path } }))
    else
      job.reject(
        Object.assign(new Error(error.message), {
          code: error.errno,
          path: job.path,
          syscall: 'open',
        }),
      )
  }
}
