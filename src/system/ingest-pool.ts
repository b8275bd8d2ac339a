import { availableParallelism } from 'node:os'
import { ReproError } from '../core/errors.ts'
import { blake3Backend } from './blake3.ts'
import { MIN_BLOCK } from './cutter.mjs'
import { eventsOf, type IngestEvent, type SourceFile } from './ingest-events.ts'
import type { IngestAnswer, IngestJob } from './ingest-serve.mjs'
import { type IngestThread, startInline, startThread } from './ingest-thread.ts'
import type { LeafAnswer } from './leaf-hash.mjs'
import { LeafStage, type Leaves } from './leaf-stage.ts'

interface IngestPoolOptions {
  readonly expectedBytes: number
  readonly expectedFiles: number
  /** False: only hashes. */
  readonly bytes: boolean
  /** For which blocks of large files, by their BLAKE3, a thread should hash the leaf. Default: none. */
  readonly leaves?: (blake3: Buffer) => boolean
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
  readonly answers: Answered[]
  jobs: number
}

interface Answered {
  readonly run: Run
  answer: IngestAnswer
  leaves: Leaves | null
  /** Its slab is in another thread. */
  away: boolean
}

/**
 * Reads files once, in threads: BLAKE3 of the whole, and with `bytes` the content-defined blocks with the BLAKE3 of each
 * (docs/format/blocks.md). Small jobs, and hosts without the native BLAKE3, are done in the calling thread, with the same
 * results. Memory is bounded, at 24 MiB a thread. Close it when done.
 */
export class IngestPool {
  readonly #width: number
  readonly #inline: boolean
  readonly #bytes: boolean
  readonly #wants: ((blake3: Buffer) => boolean) | null
  #leaves: LeafStage | null = null
  #seats: Seat[] = []
  readonly #runs = new Map<number, Run>()
  /** All that are under way, also those that have no job yet because others have the threads. */
  readonly #open = new Set<Run>()
  #nextJob = 0
  #broken: { error: unknown } | null = null

  constructor(options: IngestPoolOptions) {
    const { expectedBytes, expectedFiles, bytes, leaves = null } = options
    const little = expectedBytes < WORTH_A_THREAD_BYTES && expectedFiles < WORTH_A_THREAD_FILES
    // One file is hashed by one thread anyway: this one.
    const alone = expectedFiles === 1 && !bytes
    this.#inline = little || alone || blake3Backend !== 'native'
    this.#width = this.#inline ? 1 : Math.min(availableParallelism(), MAX_THREADS)
    this.#bytes = bytes
    this.#wants = bytes && !this.#inline && this.#width > 1 ? leaves : null
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
        if (next) {
          const { answer, leaves, indexes, seat } = next
          yield* eventsOf(answer, leaves, indexes, files, slab => seat.thread.post({ slab }))
        } else if (planned.done && run.jobs.size === 0) break
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
    this.#leaves = this.#wants && new LeafStage(this.#wants)
    // Where nothing but hashes is wanted the calling thread is idle: it begins while threads start.
    const inline = this.#inline || !this.#bytes ? 1 : 0
    for (let i = 0; i < this.#width; i++) this.#seats.push(this.#startSeat(i < inline))
  }

  #startSeat(inline: boolean): Seat {
    const receive = (answer: IngestAnswer | LeafAnswer) => {
      if (answer.type === 'leaves') return this.#leaves?.receive(answer)
      const run = this.#runs.get(answer.job)
      if (!run) return
      const answered: Answered = { run, answer, leaves: null, away: false }
      seat.answers.push(answered)
      this.#hashLeaves(seat, answered)
      if (!answered.away) run.wake()
    }
    const broken = (cause: unknown) => {
      const error = new ReproError('INTERNAL', 'a thread that reads files died', { cause })
      if (this.#seats.includes(seat)) this.#fail(error)
    }
    const thread = inline ? startInline(receive) : startThread(receive, broken)
    const seat: Seat = { thread, answers: [], jobs: 0 }
    return seat
  }

  /** Sends the blocks of an answer to a thread that reads nothing that is waited for. */
  #hashLeaves(seat: Seat, answered: Answered): void {
    const { answer, run } = answered
    if (!this.#leaves || answer.type !== 'blocks') return
    const others = this.#seats.filter(one => one !== seat && one !== run.open)
    const threads = (others.length > 0 ? others : [seat]).map(({ thread }) => thread)
    answered.away = this.#leaves.send(answer, threads, (slab, leaves) => {
      answered.answer = { ...answer, slab }
      answered.leaves = leaves
      answered.away = false
      run.wake()
    })
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
  #take(run: Run): (Answered & { seat: Seat; indexes: readonly number[] }) | null {
    for (const seat of run.open ? [run.open] : this.#seats) {
      const at = seat.answers.findIndex(one => one.run === run)
      if (at === -1) continue
      // It comes soon, and a large file of another thread would keep it waiting to its end.
      if (seat.answers[at]!.away) return null
      const answered = seat.answers.splice(at, 1)[0]!
      const { answer } = answered
      const { indexes } = run.jobs.get(answer.job)!
      if (answer.type === 'blocks') run.open = seat
      if (answer.type === 'end' || answer.type === 'fault') run.open = null
      if (answer.type === 'finished') this.#finish(run, seat, answer.job)
      return { ...answered, seat, indexes }
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
