import { availableParallelism } from 'node:os'
import { ReproError } from '../core/errors.ts'
import { blake3Backend } from './blake3.ts'
import { MIN_BLOCK } from './cutter.mjs'
import type { HashedFile } from './hash-file.ts'
import type { IngestAnswer, IngestFault, IngestJob } from './ingest-serve.mjs'
import { type IngestThread, startInline, startThread } from './ingest-thread.ts'

/** A regular file that is to be read. */
export interface SourceFile {
  /** In the bundle. */
  readonly path: string
  readonly absolute: string
  readonly size: number
  /** As `formatFileState` says it; '' takes the file as it is found (then `size` is a guess, with `bytes: false` only). */
  readonly state: string
}

/**
 * What became of files; `index` is the place in what `run` was given. Bytes are valid until `done()`, which gives their
 * memory back: without it reading stops after a few slabs.
 */
export type IngestEvent =
  | {
      /** Files of one block each; with `bytes: false`, files of any size. */
      readonly type: 'files'
      readonly files: readonly IngestedSmallFile[]
      done(): void
    }
  | {
      /** The next blocks of a large file, in order. Nothing of another file comes before its `end` or `fault`. */
      readonly type: 'blocks'
      readonly index: number
      readonly blocks: readonly { readonly bytes: Buffer; readonly blake3: Buffer }[]
      done(): void
    }
  | { readonly type: 'end'; readonly index: number; readonly hashed: HashedFile }
  | { readonly type: 'fault'; readonly index: number; readonly error: unknown }
  /** With `bytes: false`: so much more of a large file was read, before it is whole. */
  | { readonly type: 'progress'; readonly index: number; readonly bytes: number }

export interface IngestedSmallFile {
  readonly index: number
  readonly hashed: HashedFile
  readonly bytes: Buffer | null
}

/** Below this much work a thread costs more than it saves. */
const WORTH_A_THREAD_BYTES = 8 << 20
const WORTH_A_THREAD_FILES = 256
const MAX_THREADS = 4
/** Jobs a thread has, so that it never waits for the next. */
const JOBS_AHEAD = 2
const JOB_FILES = 256
const JOB_BYTES = 3 << 20
/** With fewer files of this size than threads, a thread more is used for reading ahead. */
const LARGE_BYTES = 8 << 20

interface Run {
  readonly files: readonly SourceFile[]
  /** The places of the files of each job. */
  readonly jobs: Map<number, { readonly seat: Seat; readonly indexes: readonly number[] }>
  /** The thread whose large file is being given out. */
  open: Seat | null
  wake(): void
}

/** A thread with what it is at work on. */
interface Seat {
  readonly thread: IngestThread
  readonly answers: { readonly run: Run; readonly answer: IngestAnswer }[]
  jobs: number
}

/**
 * Reads files once, in threads: BLAKE3 of the whole, and with `bytes` the content-defined blocks with the BLAKE3 of each
 * (docs/format/blocks.md). Small jobs, and hosts without the native BLAKE3, are done in the calling thread, with the same
 * results. Memory is bounded, at 16 MiB a thread. Close it when done.
 */
export class IngestPool {
  readonly #width: number
  readonly #inline: boolean
  readonly #bytes: boolean
  #seats: Seat[] = []
  readonly #runs = new Map<number, Run>()
  /** All that are under way, also those that have no job yet because others have the threads. */
  readonly #open = new Set<Run>()
  #nextJob = 0
  #broken: { error: unknown } | null = null

  constructor(options: { expectedBytes: number; expectedFiles: number; bytes: boolean }) {
    const { expectedBytes, expectedFiles, bytes } = options
    const little = expectedBytes < WORTH_A_THREAD_BYTES && expectedFiles < WORTH_A_THREAD_FILES
    // One file is hashed by one thread anyway: this one.
    const alone = expectedFiles === 1 && !bytes
    this.#inline = little || alone || blake3Backend !== 'native'
    this.#width = this.#inline ? 1 : Math.min(availableParallelism(), MAX_THREADS)
    this.#bytes = bytes
  }

  /**
   * Reads `files`, in about this order. A file that cannot be read, or changes, is a `fault` and stops nothing.
   * Throws the signal's reason, and INTERNAL when a thread dies or the pool is closed.
   */
  async *run(files: readonly SourceFile[], signal?: AbortSignal): AsyncGenerator<IngestEvent> {
    signal?.throwIfAborted()
    if (files.length === 0) return
    const run: Run = { files, jobs: new Map(), open: null, wake: () => undefined }
    const wake = () => run.wake()
    signal?.addEventListener('abort', wake)
    this.#open.add(run)
    this.#start()
    const plan = planJobs(files, this.#bytes, this.#width)
    let planned = plan.next()
    let whole = false
    try {
      for (;;) {
        for (const seat of this.#seats)
          for (; seat.jobs < JOBS_AHEAD && !planned.done; planned = plan.next())
            this.#post(run, seat, planned.value)
        signal?.throwIfAborted()
        if (this.#broken) throw this.#broken.error
        const next = this.#take(run)
        if (next) yield* eventsOf(next.answer, next.indexes, run, next.seat)
        else if (planned.done && run.jobs.size === 0) break
        else
          await new Promise<void>(resolve => {
            run.wake = resolve
          })
      }
      whole = true
    } finally {
      this.#open.delete(run)
      signal?.removeEventListener('abort', wake)
      if (!whole) await this.close()
    }
  }

  /** Ends the threads; runs under way fail. */
  async close(): Promise<void> {
    const seats = this.#seats
    this.#seats = []
    this.#fail(new ReproError('INTERNAL', 'the reading threads were closed while files were read'))
    await Promise.all(seats.map(seat => seat.thread.stop()))
  }

  #start(): void {
    if (this.#seats.length > 0) return
    this.#broken = null
    // Where nothing but hashes is wanted the calling thread is idle: it begins while threads start.
    const inline = this.#inline || !this.#bytes ? 1 : 0
    for (let i = 0; i < this.#width; i++) this.#seats.push(this.#startSeat(i < inline))
  }

  #startSeat(inline: boolean): Seat {
    const receive = (answer: IngestAnswer) => {
      const run = this.#runs.get(answer.job)
      if (!run) return
      seat.answers.push({ run, answer })
      run.wake()
    }
    const broken = (cause: unknown) => {
      const error = new ReproError('INTERNAL', 'a thread that reads files died', { cause })
      if (this.#seats.includes(seat)) this.#fail(error)
    }
    const thread = inline ? startInline(receive) : startThread(receive, broken)
    const seat: Seat = { thread, answers: [], jobs: 0 }
    return seat
  }

  #fail(error: unknown): void {
    if (this.#runs.size === 0) return
    this.#broken = { error }
    this.#runs.clear()
    for (const run of this.#open) run.wake()
  }

  #post(run: Run, seat: Seat, { mode, indexes }: PlannedJob): void {
    const job = this.#nextJob++
    this.#runs.set(job, run)
    run.jobs.set(job, { seat, indexes })
    seat.jobs++
    seat.thread.hold(true)
    const files = indexes.map(index => {
      const { absolute, size, state } = run.files[index]!
      return { absolute, size, state }
    })
    seat.thread.post({ job, mode, files })
  }

  /** The next answer for a run: of the thread whose large file is open, if there is one. */
  #take(run: Run): { answer: IngestAnswer; seat: Seat; indexes: readonly number[] } | null {
    for (const seat of run.open ? [run.open] : this.#seats) {
      const at = seat.answers.findIndex(one => one.run === run)
      if (at === -1) continue
      const { answer } = seat.answers.splice(at, 1)[0]!
      const { indexes } = run.jobs.get(answer.job)!
      if (answer.type === 'blocks') run.open = seat
      if (answer.type === 'end' || answer.type === 'fault') run.open = null
      if (answer.type === 'finished') this.#finish(run, seat, answer.job)
      return { answer, seat, indexes }
    }
    return null
  }

  #finish(run: Run, seat: Seat, job: number): void {
    run.jobs.delete(job)
    this.#runs.delete(job)
    if (--seat.jobs === 0) seat.thread.hold(false)
    // The thread has room again, and another run may wait for that.
    for (const other of this.#open) if (other !== run) other.wake()
  }
}

interface PlannedJob {
  readonly mode: IngestJob['mode']
  readonly indexes: readonly number[]
}

function* planJobs(
  files: readonly SourceFile[],
  bytes: boolean,
  threads: number,
): Generator<PlannedJob> {
  const large = files.reduce((sum, { size }) => sum + (size >= LARGE_BYTES ? 1 : 0), 0)
  const mode = bytes ? 'pack' : large < Math.max(threads, 2) ? 'hash-ahead' : 'hash'
  // Few files are spread over the threads.
  const most = Math.max(1, Math.min(JOB_FILES, Math.ceil(files.length / (4 * threads))))
  let indexes: number[] = []
  let sum = 0
  for (const [index, { size }] of files.entries()) {
    if (bytes && size > MIN_BLOCK) {
      yield { mode: 'cut', indexes: [index] }
      continue
    }
    if (indexes.length > 0 && (indexes.length === most || sum + size > JOB_BYTES)) {
      yield { mode, indexes }
      indexes = []
      sum = 0
    }
    indexes.push(index)
    sum += size
  }
  if (indexes.length > 0) yield { mode, indexes }
}

type Fact = readonly [which: number, size: number, executable: number, offset: number]

function* eventsOf(
  answer: IngestAnswer,
  indexes: readonly number[],
  run: Run,
  seat: Seat,
): Generator<IngestEvent> {
  switch (answer.type) {
    case 'files': {
      const { facts, states, digests, slab } = answer
      const files = states.map((state, i) => {
        const [which, size, executable, offset] = facts.subarray(
          4 * i,
          4 * i + 4,
        ) as unknown as Fact
        const index = indexes[which]!
        const hashed = {
          blake3: hexOf(digests, i),
          size,
          executable: executable === 1,
          state: state || run.files[index]!.state,
        }
        return { index, hashed, bytes: slab && Buffer.from(slab, offset, size) }
      })
      yield { type: 'files', files, done: giveBack(seat, slab) }
      return
    }
    case 'blocks': {
      const { slab, ends, digests } = answer
      const blocks = ends.map((end, i) => {
        const begin = ends[i - 1] ?? 0
        return { bytes: Buffer.from(slab, begin, end - begin), blake3: digestAt(digests, i) }
      })
      yield { type: 'blocks', index: indexes[0]!, blocks, done: giveBack(seat, slab) }
      return
    }
    case 'end':
      yield { type: 'end', index: indexes[answer.which]!, hashed: answer.hashed }
      return
    case 'fault': {
      const index = indexes[answer.which]!
      yield { type: 'fault', index, error: errorOf(answer.error, run.files[index]!.absolute) }
      return
    }
    case 'progress':
      yield { type: 'progress', index: indexes[answer.which]!, bytes: answer.bytes }
  }
}

function giveBack(seat: Seat, slab: ArrayBuffer | null): () => void {
  let held = slab
  return () => {
    if (held) seat.thread.post({ slab: held })
    held = null
  }
}

function digestAt(digests: Uint8Array, i: number): Buffer {
  return Buffer.from(digests.buffer, digests.byteOffset + 32 * i, 32)
}

const hexOf = (digests: Uint8Array, i: number) => digestAt(digests, i).toString('hex')

function errorOf({ code, errno, message }: IngestFault, path: string): unknown {
  if (code) {
    const hints =
      code === 'SOURCE_CHANGED' ? ['wait until nothing writes to it, then repeat the command'] : []
    return new ReproError(code, message, { hints, data: { path } })
  }
  return Object.assign(new Error(message), { code: errno, path, syscall: 'open' })
}
