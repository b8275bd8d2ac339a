/** So many blocks are known at least, the newest: 64 MiB in a file, and 200 MiB in memory with an eighth more. */
export const MAX_INDEXED_BLOCKS = 8 << 20

/** What the block index is in memory: where a block may be, by the first 8 bytes of its BLAKE3. Hints only. */
export class BlockTable {
  readonly #keeps: number
  #base: number
  /** Two words a block, in order of the blocks; 0, 0 for one that is not to be found. */
  #words: Uint32Array
  #count = 0
  /** Open addressing: place of a block + 1, 0 for free. */
  #slots: Uint32Array

  /**
   * With the words of the blocks from `base` on, as an index file has them. Of the blocks that are pushed the newest
   * `keeps` stay, and at most an eighth more.
   */
  constructor(base: number, words: Uint32Array, keeps = MAX_INDEXED_BLOCKS) {
    this.#keeps = keeps
    this.#base = base
    this.#words = words
    this.#count = words.length >>> 1
    this.#slots = new Uint32Array(slotsFor(this.#count))
    for (let i = 0; i < this.#count; i++) this.#enter(i)
  }

  /** Number of the first block it knows. */
  get base(): number {
    return this.#base
  }

  /** One more than the last block it knows. */
  get end(): number {
    return this.#base + this.#count
  }

  /** Notes the block that comes after the last; null for one that is not to be found. */
  push(digest: Uint8Array | null): void {
    const most = this.#keeps + (this.#keeps >>> 3)
    if (this.#count >= most) this.#dropOldest(this.#count - this.#keeps)
    const at = this.#count++
    if (2 * this.#count > this.#words.length) {
      const words = new Uint32Array(2 * Math.min(most, Math.max(1024, this.#words.length)))
      words.set(this.#words)
      this.#words = words
    }
    this.#words[2 * at] = digest ? word(digest, 0) : 0
    this.#words[2 * at + 1] = digest ? word(digest, 4) : 0
    if (2 * this.#count <= this.#slots.length) this.#enter(at)
    else {
      this.#slots = new Uint32Array(slotsFor(this.#count))
      for (let i = 0; i < this.#count; i++) this.#enter(i)
    }
  }

  #dropOldest(count: number): void {
    this.#words.copyWithin(0, 2 * count, 2 * this.#count)
    this.#base += count
    this.#count -= count
    this.#slots.fill(0)
    for (let i = 0; i < this.#count; i++) this.#enter(i)
  }

  /** Blocks that may have this digest, at most MAX_CANDIDATES, oldest first. */
  find(digest: Uint8Array): number[] {
    const [low, high] = [word(digest, 0), word(digest, 4)]
    const mask = this.#slots.length - 1
    const found: number[] = []
    for (let slot = low & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const at = this.#slots[slot]! - 1
      if (this.#words[2 * at] !== low || this.#words[2 * at + 1] !== high) continue
      if (found.push(this.#base + at) === MAX_CANDIDATES) break
    }
    return found
  }

  /** False where `find` finds nothing. */
  has(digest: Uint8Array): boolean {
    const [low, high] = [word(digest, 0), word(digest, 4)]
    const mask = this.#slots.length - 1
    for (let slot = low & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const at = this.#slots[slot]! - 1
      if (this.#words[2 * at] === low && this.#words[2 * at + 1] === high) return true
    }
    return false
  }

  /** The words of the blocks from `block` on. */
  wordsFrom(block: number): Uint32Array {
    return this.#words.subarray(2 * Math.max(0, block - this.#base), 2 * this.#count)
  }

  #enter(at: number): void {
    const low = this.#words[2 * at]!
    if (low === 0 && this.#words[2 * at + 1] === 0) return
    const mask = this.#slots.length - 1
    let slot = low & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = at + 1
  }
}

/** A block that is stored twice is rare: more copies than these need not be known. */
const MAX_CANDIDATES = 8

/** A power of two, of which at most half is taken. */
function slotsFor(count: number): number {
  return 2 ** Math.max(11, Math.ceil(Math.log2(2 * (count + 1))))
}

const word = (bytes: Uint8Array, at: number) =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
