import type { StoredBlob } from './blob-writer.ts'

const COLUMNS = 4
const NONE: readonly number[] = []

/** Blobs by the BLAKE3 of their content, in little memory: there may be a million. */
export class BlobTable {
  readonly #rows = new Map<string, number>()
  /** Those with a block map: [start, end, start, end …] of its blocks. */
  readonly #mapped = new Map<number, readonly number[]>()
  #columns = new Float64Array(COLUMNS * 1024)

  has(blake3: string): boolean {
    return this.#rows.has(blake3)
  }

  get(blake3: string): Omit<StoredBlob, 'newBytes'> | null {
    const row = this.#rows.get(blake3)
    if (row === undefined) return null
    const at = COLUMNS * row
    const mapped = this.#mapped.get(row)
    return {
      blockOffset: this.#columns[at]!,
      blockLength: this.#columns[at + 1]!,
      byteOffset: this.#columns[at + 2]!,
      byteLength: this.#columns[at + 3]!,
      mapped: mapped ?? NONE,
      ...(mapped ? { blockMap: true } : {}),
    }
  }

  /** Adds a blob; the first of a content stays. */
  add(blake3: string, blob: StoredBlob): void {
    if (this.#rows.has(blake3)) return
    const row = this.#rows.size
    const at = COLUMNS * row
    if (at === this.#columns.length) {
      const columns = new Float64Array(2 * at)
      columns.set(this.#columns)
      this.#columns = columns
    }
    const { blockOffset, blockLength, byteOffset, byteLength } = blob
    this.#columns.set([blockOffset, blockLength, byteOffset, byteLength], at)
    if (blob.blockMap) this.#mapped.set(row, blob.mapped)
    this.#rows.set(blake3, row)
  }
}
