import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { ReproError } from '../core/errors.ts'
import type { Extent } from '../core/release-source.ts'
import { blake3Backend } from './blake3.ts'
import { type Checked, checkHere, type FileToCheck } from './tree-check.ts'

export interface FileToProve {
  readonly size: number
  readonly blake3: string
  readonly extents: readonly Extent[]
}
export interface FileToPlace extends FileToProve {
  /** Where it goes, absolute: checked, with its folder made. */
  readonly path: string
  readonly mode: number
}

type PlainExtent = readonly [source: number, offset: number, length: number]
/** The source of bytes that were at hand; as in tree-source.mjs. */
const IN_SLAB = -1

interface Thread {
  readonly worker: Worker
  load: number
}
interface Waiting {
  readonly thread: Thread
  readonly weight: number
  readonly done: Promise<unknown>
  resolve(results: unknown): void
  reject(error: unknown): void
}

/** Below this a thread costs more than it saves. */
const WORTH_A_THREAD_BYTES = 8 << 20
const WORTH_A_THREAD_FILES = 256
const MOST_THREADS = 8
const FEW_FILES = 2
/** From this size on, one thread reads and writes a file while another hashes it. */
const PAIR_BYTES = 16 << 20
/** A heap of this size is plenty: bytes lie outside of it. */
const LIMITS = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 8 }
/** As in tree-ring.mjs: slots, and the words that steer them. */
const RING_BYTES = 16 * (256 << 10) + 4096

/**
 * Threads that write and check whole files: each is hashed while it is read, and nothing stands under its name that
 * had not the hash expected. It has no threads (`width` 0) where the work is small or the native BLAKE3 is missing.
 * Close it when done; what is under way then ends at once.
 */
export class TreePool {
  readonly #stop = new SharedArrayBuffer(4)
  readonly #threads: Thread[] = []
  readonly #waiting = new Map<number, Waiting>()
  readonly #rings: SharedArrayBuffer[] = []
  #next = 0
  #broken: ReproError | null = null
  #closed = false

  /** @param onlyChecks that nothing is written: of a few files, this thread can hash what others read. */
  constructor(expectedBytes: number, expectedFiles: number, onlyChecks = false) {
    if (blake3Backend !== 'native') return
    if (expectedBytes < WORTH_A_THREAD_BYTES && expectedFiles < WORTH_A_THREAD_FILES) return
    if (onlyChecks && expectedFiles <= FEW_FILES) return
    const count = Math.min(availableParallelism(), MOST_THREADS)
    for (let i = 0; i < count; i++) this.#threads.push(this.#start())
  }

  /** How many jobs are worth having under way at once; 0 when there are no threads. */
  get width(): number {
    return this.#threads.length * 2
  }

  /**
   * Writes files under temporary names and renames them. Gives the state of each, null for one whose bytes cannot be
   * read or are not those expected: nothing stands there then. Throws what the disk says, AbortError when closed,
   * and INTERNAL when a thread dies.
   */
  async place(
    files: readonly FileToPlace[],
    mtime: Date | null,
  ): Promise<readonly (string | null)[]> {
    return (await this.#run(files, {
      kind: 'write',
      mtime: mtime && mtime.getTime() / 1000,
      ...withSources(files),
    })) as (string | null)[]
  }

  /** Whether the bytes of each have its hash. */
  async prove(files: readonly FileToProve[]): Promise<readonly boolean[]> {
    return (await this.#run(files, { kind: 'prove', ...withSources(files) })) as boolean[]
  }

  /**
   * Compares each with what stands at its path, reading all of its bytes; without threads, in this one. No link is
   * followed in the last part.
   */
  async check(
    files: readonly FileToCheck[],
    wantsState: boolean,
    signal?: AbortSignal,
  ): Promise<readonly Checked[]> {
    if (this.#threads.length === 0) {
      const found: Checked[] = []
      for (const file of files) found.push(await checkHere(file, signal))
      return found
    }
    const found = await this.#run(files, { kind: 'check', wantsState, files })
    return (found as (Checked | null)[]).map(one => one ?? { is: 'equal' })
  }

  async close(): Promise<void> {
    Atomics.store(new Int32Array(this.#stop), 0, 1)
    await Promise.allSettled([...this.#waiting.values()].map(job => job.done))
    this.#closed = true
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()))
  }

  /** A large file goes to a pair of threads, the first of which never serves as the second: none waits in a circle. */
  async #run(files: readonly { size: number }[], job: object): Promise<unknown> {
    const weight = files.reduce((sum, file) => sum + file.size + (64 << 10), 0)
    const pairs = this.#threads.length >> 1
    if (files.length > 1 || files[0]!.size < PAIR_BYTES || pairs === 0)
      return await this.#post(least(this.#threads), weight, job)
    const leaders = this.#threads.filter((_, i) => i < pairs * 2 && i % 2 === 0)
    const leader = least(leaders)
    const second = this.#threads[this.#threads.indexOf(leader) + 1]!
    const ring = this.#rings.pop() ?? new SharedArrayBuffer(RING_BYTES)
    new Int32Array(ring, RING_BYTES - 4096).fill(0)
    const [answer] = await Promise.allSettled([
      this.#post(leader, weight, { ...job, ring }),
      this.#post(second, weight, { kind: 'follow', ring }),
    ])
    this.#rings.push(ring)
    if (answer.status === 'rejected') throw answer.reason
    return answer.value
  }

  async #post(thread: Thread, weight: number, job: object): Promise<unknown> {
    if (this.#broken) throw this.#broken
    const id = this.#next++
    // Only threads at work keep the process alive.
    for (const { worker } of this.#threads) worker.ref()
    let resolve: Waiting['resolve'] = () => undefined
    let reject: Waiting['reject'] = () => undefined
    const done = new Promise<unknown>((yes, no) => {
      resolve = yes
      reject = no
    })
    this.#waiting.set(id, { thread, weight, done, resolve, reject })
    thread.load += weight
    const { slab } = job as { slab?: Uint8Array<ArrayBuffer> }
    thread.worker.postMessage({ id, ...job }, slab ? [slab.buffer] : [])
    return await done
  }

  #start(): Thread {
    const worker = new Worker(new URL('./tree-worker.mjs', import.meta.url), {
      workerData: { stop: this.#stop },
      resourceLimits: LIMITS,
    })
    worker.on('message', answer => this.#settle(answer))
    let cause: unknown
    worker.on('error', error => {
      cause = error
    })
    worker.on('exit', () => this.#fail(cause))
    worker.unref()
    return { worker, load: 0 }
  }

  /** A thread ended, which none does by itself: what is under way fails, and so does what is asked for from now on. */
  #fail(cause: unknown): void {
    if (this.#closed) return
    this.#broken ??= new ReproError('INTERNAL', 'a thread that writes and checks files died', {
      cause,
    })
    for (const job of this.#waiting.values()) job.reject(this.#broken)
    this.#waiting.clear()
    for (const { worker } of this.#threads) worker.unref()
  }

  #settle(answer: { id: number; results?: unknown; error?: { message: string } }): void {
    const job = this.#waiting.get(answer.id)
    if (!job) return
    this.#waiting.delete(answer.id)
    job.thread.load -= job.weight
    if (this.#waiting.size === 0) for (const { worker } of this.#threads) worker.unref()
    if (answer.error) job.reject(Object.assign(new Error(answer.error.message), answer.error))
    else job.resolve(answer.results)
  }
}

const least = (threads: readonly Thread[]) =>
  threads.reduce((best, one) => (one.load < best.load ? one : best))

/** Names each source file once, and puts bytes at hand into one buffer, which goes to the thread without a copy. */
function withSources(files: readonly FileToProve[]) {
  const numbers = new Map<string, number>()
  const atHand = files.flatMap(file =>
    file.extents.flatMap(one => ('bytes' in one ? [one.bytes] : [])),
  )
  const slab = new Uint8Array(atHand.reduce((sum, bytes) => sum + bytes.length, 0))
  let filled = 0
  const plain = (extent: Extent): PlainExtent => {
    if ('bytes' in extent) {
      const { length } = extent.bytes
      slab.set(extent.bytes, filled)
      filled += length
      return [IN_SLAB, filled - length, length]
    }
    const number = numbers.get(extent.path) ?? numbers.size
    numbers.set(extent.path, number)
    return [number, extent.offset, extent.length]
  }
  const listed = files.map(file => ({ ...file, extents: file.extents.map(plain) }))
  return { sources: [...numbers.keys()], files: listed, slab }
}
