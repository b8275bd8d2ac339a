import type { DriveBlob } from 'hyperdrive'

const COLUMNS = 4

/**
 * Blobs by the path of their file, in little memory: there may be a million. Paths are told apart by 64 bits of a hash,
 * which a stranger can make collide: what is found must be checked as a guess is.
 */
export class BlobGuesses {
  readonly #columns: Float64Array
  readonly #mapped: Uint8Array
  readonly #hashes: Uint32Array
  /** Open addressing: row + 1, 0 for free. */
  readonly #slots: Uint32Array
  #count = 0

  /** @param most how many paths there will be at the most; what is not used takes no memory. */
  constructor(most: number) {
    this.#columns = new Float64Array(COLUMNS * most)
    this.#mapped = new Uint8Array(most)
    this.#hashes = new Uint32Array(2 * most)
    this.#slots = new Uint32Array(2 ** Math.max(8, Math.ceil(Math.log2(2 * (most + 1)))))
  }

  /** Notes where the file at a path lies; null for what has no bytes. Later words replace earlier ones. */
  set(path: string, blob: DriveBlob | null): void {
    const [low, high] = hashOf(path)
    const slot = this.#slotOf(low, high)
    if (this.#slots[slot] === 0) {
      if (blob === null) return
      this.#slots[slot] = ++this.#count
    }
    const row = this.#slots[slot]! - 1
    this.#hashes[2 * row] = low
    this.#hashes[2 * row + 1] = high
    const { blockOffset, blockLength, byteOffset, byteLength, blockMap } = blob ?? NOTHING
    this.#columns.set([blockOffset, blockLength, byteOffset, byteLength], COLUMNS * row)
    this.#mapped[row] = blockMap ? 1 : 0
  }

  get(path: string): DriveBlob | null {
    const [low, high] = hashOf(path)
    const row = this.#slots[this.#slotOf(low, high)]! - 1
    const at = COLUMNS * row
    if (row < 0 || this.#columns[at]! < 0) return null
    return {
      blockOffset: this.#columns[at]!,
      blockLength: this.#columns[at + 1]!,
      byteOffset: this.#columns[at + 2]!,
      byteLength: this.#columns[at + 3]!,
      ...(this.#mapped[row] === 1 ? { blockMap: true } : {}),
    }
  }

  #slotOf(low: number, high: number): number {
    const mask = this.#slots.length - 1
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot]! - 1
      if (row < 0 || (this.#hashes[2 * row] === low && this.#hashes[2 * row + 1] === high))
        return slot
    }
  }
}

const NOTHING: DriveBlob = { blockOffset: -1, blockLength: 0, byteOffset: 0, byteLength: 0 }

/** Two words that mix all of a text. */
function hashOf(text: string): readonly [number, number] {
  let low = 0x811c9dc5
  let high = 0x9e3779b9
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    low = Math.imul(low ^ code, 0x01000193)
    high = Math.imul(high ^ code, 0x85ebca6b)
    high ^= high >>> 15
  }
  low = Math.imul(low ^ (low >>> 16), 0xc2b2ae35)
  return [(low ^ (low >>> 13)) >>> 0, high >>> 0]
}
