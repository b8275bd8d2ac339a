import { availableParallelism } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { createHeadSearch, type HeadForm } from './head-search.mjs'

const JOB_FILES = 128
const INLINE_JOB_FILES = 16
/** Below this many files a thread costs more than it saves. */
const WORTH_A_THREAD_FILES = 1024
const MAX_THREADS = 8

/**
 * Which of the files hold the form in the first MiB: their places in `paths`, sorted. What is no text (a NUL byte in the first
 * 8 KiB), and what cannot be read, holds nothing. Many files are read in threads.
 */
export async function searchHeads(
  paths: readonly string[],
  what: HeadForm,
  signal?: AbortSignal,
): Promise<number[]> {
  const inline = paths.length < WORTH_A_THREAD_FILES
  const jobs = jobsOf(paths, inline ? INLINE_JOB_FILES : JOB_FILES)
  const found: number[] = []
  const work = async (search: (paths: readonly string[]) => Promise<readonly number[]>) => {
    for (const [at, part] of jobs) {
      signal?.throwIfAborted()
      for (const i of await search(part)) found.push(at + i)
    }
  }
  if (inline) {
    const holds = createHeadSearch(what)
    await work(async part => {
      await setImmediate()
      return [...part.keys()].filter(i => holds(part[i]!))
    })
  } else {
    const threads = Array.from(
      { length: Math.min(availableParallelism(), MAX_THREADS) },
      () => new SearchThread(what),
    )
    try {
      await Promise.all(threads.map(thread => work(part => thread.search(part))))
    } finally {
      await Promise.all(threads.map(thread => thread.close()))
    }
  }
  return found.sort((a, b) => a - b)
}

/** Handed out one by one, to whoever is free. */
function* jobsOf(paths: readonly string[], size: number): Generator<[number, readonly string[]]> {
  for (let at = 0; at < paths.length; at += size) yield [at, paths.slice(at, at + size)]
}

class SearchThread {
  readonly #worker: Worker
  #settle: { resolve(found: readonly number[]): void; reject(error: unknown): void } | null = null
  #broken: unknown = null

  constructor(what: HeadForm) {
    this.#worker = new Worker(new URL('./head-search-worker.mjs', import.meta.url), {
      workerData: what,
    })
    this.#worker.on('message', ({ found }: { found: readonly number[] }) => {
      this.#settle?.resolve(found)
    })
    this.#worker.on('error', error => {
      this.#broken = error
      this.#settle?.reject(error)
    })
  }

  async search(paths: readonly string[]): Promise<readonly number[]> {
    if (this.#broken !== null) throw this.#broken
    return await new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
      this.#worker.postMessage({ paths })
    })
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}
