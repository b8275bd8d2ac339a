import type { Appended, BlockWriter } from './block-writer.ts'
import type { PendingBlock } from './new-block.ts'
import type { SourceTable } from './source-table.ts'
import { encodePointer } from './stored-value.ts'

/** Gives blocks their places: first the bytes, then the pointers. */
export class BlockPlacer {
  readonly #writer: BlockWriter
  readonly #sources: SourceTable
  /** How many groups of blocks in a file have pointers that RocksDB does not name yet. */
  readonly #unsettled = new Map<number, number>()

  constructor(writer: BlockWriter, sources: SourceTable) {
    this.#writer = writer
    this.#sources = sources
  }

  /** True when bytes in a file may get a pointer that is not in RocksDB yet. */
  isUnsettled(id: number): boolean {
    return (this.#unsettled.get(id) ?? 0) > 0
  }

  /** Writes the bytes of `blocks`, fills in their pointers, then lets `settle` store those. */
  async write<T>(
    blocks: readonly PendingBlock[],
    intoView: boolean,
    settle: () => Promise<T>,
  ): Promise<T> {
    const copied = blocks.filter(one => one.source === undefined)
    const written = copied.length > 0 ? await this.#append(copied.map(one => one.bytes)) : null
    const id = written?.id ?? 0
    let offset = written?.offset ?? 0
    for (const { source, change, bytes, blake3 } of blocks) {
      const { length } = bytes
      if (source !== undefined) {
        const sourceId = await this.#sources.idOf(source)
        const place = { id: sourceId, offset: source.offset }
        change[1] = encodePointer({ kind: 'source', ...place, length, blake3 })
      } else {
        change[1] = encodePointer({ kind: 'file', id, offset, length, blake3 })
        offset += length
      }
    }
    const result = await settle()
    // a view may be stored much later, or never: its files are left alone until the store closes
    if (intoView) return result
    this.#count(id, -1)
    return result
  }

  async #append(buffers: readonly Uint8Array[]): Promise<Appended> {
    const appended = await this.#writer.append(buffers)
    this.#count(appended.id, 1)
    return appended
  }

  #count(id: number, change: number): void {
    if (id > 0) this.#unsettled.set(id, (this.#unsettled.get(id) ?? 0) + change)
  }
}
