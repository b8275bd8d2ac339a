import { asReproError, ReproError } from '../core/errors.ts'
import type { ReadLimits } from './bundle.ts'
import { diskFull, isDiskFull, storeError } from './store-errors.ts'

const DEFAULT_STALL_MS = 20_000
/** Reading only what is here may still take a moment on a slow disk, but never waits for peers. */
const OFFLINE_LIMIT_MS = 30_000
const TICK_MS = 200

/** What is known of the peers of one bundle. */
export interface PeerView {
  readonly key: string
  /** The folder of the store. */
  readonly folder: string
  peers(): number
  /** Grows whenever something useful arrives. */
  progress(): number
  /** How many blocks were refused so far. */
  refused(): number
  /** Why the last write to the store that failed did; null when none did. */
  writeFault(): unknown
}

interface Waiter {
  readonly since: number
  reject(error: ReproError): void
}

/**
 * Bounds every wait for peers: Hypercore itself waits for ever. A wait ends with NO_PEER (or PEER_DISHONEST, when
 * blocks were refused meanwhile) once nothing has arrived for `stallMs`, and with INTERRUPTED when aborted. It ends at
 * once with DISK_FULL or WRITE_FAILED when what arrived could not be stored: Hypercore then asks that peer for nothing more.
 */
export class Patience {
  readonly #peers: PeerView
  readonly #stallMs: number
  readonly #refusedBefore: number
  readonly #faultBefore: unknown
  readonly #waiters = new Set<Waiter>()
  #timer: NodeJS.Timeout | null = null
  #lastProgress = -1
  #lastProgressAt = 0
  readonly #signal: AbortSignal | undefined

  constructor(peers: PeerView, limits: ReadLimits) {
    this.#peers = peers
    this.#stallMs = limits.stallMs ?? DEFAULT_STALL_MS
    this.#signal = limits.signal
    this.#refusedBefore = peers.refused()
    this.#faultBefore = peers.writeFault()
  }

  /** Options for every read of Holepunch's packages. */
  get options(): { readonly wait: boolean } {
    return { wait: this.#stallMs > 0 }
  }

  get offline(): boolean {
    return this.#stallMs === 0
  }

  /** The bundle whose peers are waited for. */
  get bundle(): Pick<PeerView, 'key' | 'folder'> {
    return this.#peers
  }

  /** The same for what is here alone. */
  get here(): Patience {
    const signal = this.#signal
    return new Patience(this.#peers, { stallMs: 0, ...(signal ? { signal } : {}) })
  }

  async wait<T>(work: Promise<T>): Promise<T> {
    this.throwIfAborted()
    let waiter: Waiter | undefined
    const ended = new Promise<never>((_, reject) => {
      waiter = { since: Date.now(), reject }
    })
    this.#waiters.add(waiter!)
    this.#start()
    try {
      return await Promise.race([work, ended])
    } catch (error) {
      work.catch(() => undefined)
      throw storeError(error, this.#peers.key, this.#peers.folder)
    } finally {
      this.#waiters.delete(waiter!)
      if (this.#waiters.size === 0) this.#stop()
    }
  }

  /** `items` with a bound on the wait for each. */
  async *each<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    const iterator = items[Symbol.asyncIterator]()
    try {
      for (;;) {
        const { done, value } = await this.wait(iterator.next())
        if (done) return
        yield value
      }
    } finally {
      iterator.return?.()?.then(undefined, () => undefined)
    }
  }

  throwIfAborted(): void {
    if (this.#signal?.aborted) throw asReproError(abortError(this.#signal))
  }

  readonly #onAbort = () => {
    for (const waiter of this.#waiters) waiter.reject(asReproError(abortError(this.#signal!)))
  }

  #start(): void {
    if (this.#timer) return
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    this.#signal?.addEventListener('abort', this.#onAbort)
  }

  #stop(): void {
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }

  #tick(): void {
    const now = Date.now()
    const progress = this.#peers.progress()
    if (progress !== this.#lastProgress) {
      this.#lastProgress = progress
      this.#lastProgressAt = now
    }
    const fault = this.#peers.writeFault()
    if (fault !== null && fault !== this.#faultBefore) {
      const error = storeError(fault, this.#peers.key, this.#peers.folder)
      for (const waiter of this.#waiters) waiter.reject(error)
      return
    }
    const limit = this.offline ? OFFLINE_LIMIT_MS : this.#stallMs
    for (const waiter of this.#waiters) {
      const waitedMs = now - Math.max(waiter.since, this.#lastProgressAt)
      if (waitedMs >= limit) waiter.reject(this.#stalled(waitedMs))
    }
  }

  #stalled(waitedMs: number): ReproError {
    const { key } = this.#peers
    if (!this.offline && isDiskFull(this.#peers.folder)) return diskFull()
    const seconds = Math.round(this.#stallMs / 1000)
    if (this.#peers.refused() > this.#refusedBefore) {
      return new ReproError(
        'PEER_DISHONEST',
        `the peers of "${key}" sent bytes that are not the author's, and nobody else sends the right ones`,
        { hints: ['nothing of it was used; try again later, or give another peer with --peer'] },
      )
    }
    const connected = this.#peers.peers()
    return new ReproError(
      'NO_PEER',
      connected === 0
        ? `no peer has "${key}" (waited ${seconds} s)`
        : `${connected} connected peer(s) of "${key}" sent nothing for ${seconds} s`,
      {
        hints: [
          'ask the author to run `repro share`, or give an address with --peer host:port',
          'what was fetched so far is kept: repeating the command carries on',
        ],
        data: { key, peers: connected, waitedMs },
      },
    )
  }
}

function abortError(signal: AbortSignal): unknown {
  const reason = signal.reason as Error | undefined
  return reason?.name === 'TimeoutError'
    ? Object.assign(new Error('interrupted'), { name: 'AbortError', cause: reason })
    : (reason ?? new DOMException('interrupted', 'AbortError'))
}
