import { MAX_MAPPED_BLOCKS, type MappedBlock } from './block-map.ts'

/** A content of many blocks while it is stored: which blocks it is made of. */
export class OpenBlob {
  /** Place of its first byte in the core, -1 where it was found. */
  byteOffset = -1
  bytes = 0
  newBytes = 0
  count = 0
  first: number | null = null
  /** Highest number of its blocks. */
  last = -1
  /** The number after its last block, null before the first. */
  next: number | null = null
  isRun = true
  /** Whether its blocks may lie anywhere; else they are one run. */
  mapped: boolean
  /** Numbers and lengths in turn. */
  #blocks: number[] = []
  readonly #since: number

  constructor(since: number, mapped: boolean) {
    this.#since = since
    this.mapped = mapped
  }

  add(index: number, byteLength: number, newBytes: number): void {
    if (this.next !== null && index !== this.next) this.isRun = false
    this.first ??= index
    this.next = index + 1
    this.last = Math.max(this.last, index)
    this.bytes += byteLength
    this.newBytes += newBytes
    this.count++
    // One that is too long for a map is one run, or becomes one.
    if (this.count <= MAX_MAPPED_BLOCKS) this.#blocks.push(index, byteLength)
  }

  blocks(): MappedBlock[] {
    const { length } = this.#blocks
    return Array.from({ length: length >>> 1 }, (_, i) => ({
      index: this.#blocks[2 * i]!,
      byteLength: this.#blocks[2 * i + 1]!,
    }))
  }

  /** Its blocks since the last release as ranges: [start, end, start, end …]. */
  ranges(): number[] {
    const ranges: number[] = []
    for (let i = 0; i < this.#blocks.length; i += 2) {
      const index = this.#blocks[i]!
      if (index < this.#since) continue
      if (ranges.at(-1) === index) ranges[ranges.length - 1] = index + 1
      else ranges.push(index, index + 1)
    }
    return ranges
  }

  /** Forgets its blocks, and gives them; from now on it is one run. */
  startAgain(byteOffset: number): Iterable<{ readonly index: number }> {
    const old = this.isRun && this.first !== null ? runOf(this.first, this.count) : this.blocks()
    this.byteOffset = byteOffset
    this.bytes = 0
    this.newBytes = 0
    this.count = 0
    this.first = null
    this.last = -1
    this.next = null
    this.isRun = true
    this.mapped = false
    this.#blocks = []
    return old
  }
}

function* runOf(first: number, count: number): Generator<{ readonly index: number }> {
  for (let index = first; index < first + count; index++) yield { index }
}
