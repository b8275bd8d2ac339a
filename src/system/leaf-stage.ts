import type { IngestAnswer } from './ingest-serve.mjs'
import type { IngestThread } from './ingest-thread.ts'
import type { LeafAnswer } from './leaf-hash.mjs'

/** The leaf hashes of an answer's blocks, by the place of the block in it; none where they were not asked for. */
export type Leaves = ReadonlyMap<number, Buffer>

type BlocksAnswer = Extract<IngestAnswer, { type: 'blocks' }>

interface Hashing {
  readonly places: readonly number[]
  readonly thread: IngestThread
  ready(slab: ArrayBuffer, leaves: Leaves): void
}

/**
 * The second stage of reading: another thread than the one that read the blocks of a large file hashes them as leaves of
 * a core's Merkle tree. Only those that are wanted, by their BLAKE3. Small files are left alone: for them the way through
 * a thread costs more than the hash.
 */
export class LeafStage {
  readonly #wants: (blake3: Buffer) => boolean
  readonly #load = new Map<IngestThread, number>()
  readonly #hashing = new Map<number, Hashing>()
  #next = 0

  constructor(wants: (blake3: Buffer) => boolean) {
    this.#wants = wants
  }

  /**
   * Sends the slab of an answer to the one of `threads` that has least to do. False where nothing is wanted of it;
   * else it is away until `ready` is told.
   */
  send(
    { slab, ends, digests }: BlocksAnswer,
    threads: readonly IngestThread[],
    ready: (slab: ArrayBuffer, leaves: Leaves) => void,
  ): boolean {
    const places: number[] = []
    const ranges: number[] = []
    for (const [place, end] of ends.entries()) {
      if (!this.#wants(digestAt(digests, place))) continue
      places.push(place)
      ranges.push(ends[place - 1] ?? 0, end)
    }
    if (places.length === 0) return false
    const loadOf = (thread: IngestThread) => this.#load.get(thread) ?? 0
    const thread = threads.reduce((best, one) => (loadOf(one) < loadOf(best) ? one : best))
    this.#load.set(thread, loadOf(thread) + 1)
    this.#hashing.set(this.#next, { places, thread, ready })
    thread.post({ leaves: this.#next++, slab, ranges })
    return true
  }

  /** Takes what a thread answers. */
  receive({ id, slab, digests }: LeafAnswer): void {
    const hashing = this.#hashing.get(id)
    if (!hashing) return
    this.#hashing.delete(id)
    const { thread, places, ready } = hashing
    this.#load.set(thread, this.#load.get(thread)! - 1)
    ready(slab, new Map(places.map((place, i) => [place, digestAt(digests, i)])))
  }
}

/** The digest at a place in many. */
export function digestAt(digests: Uint8Array, i: number): Buffer {
  return Buffer.from(digests.buffer, digests.byteOffset + 32 * i, 32)
}
