import type Hypercore from 'hypercore'
import type { Change } from 'hypercore-storage/lib/view.js'
import type { Database } from 'rocksdb-native'
import { blake3Digest } from '../../system/blake3.ts'
import { storeError } from '../store-errors.ts'
import { type BlockSource, takeNote } from './block-notes.ts'
import { BlockReader } from './block-reader.ts'
import { BlockWriter, blockFile } from './block-writer.ts'
import { type BlockExtent, readExtents } from './extents.ts'
import { type BlockFault, BlockFaults } from './faults.ts'
import { type Mark, markTagged } from './mark.ts'
import { SharedLock } from './shared-lock.ts'
import { SourceTable } from './source-table.ts'
import { encodeInline, encodePointer, MAX_BLOCK_BYTES, OUTSIDE_BYTES } from './stored-value.ts'

/** A block of a transaction that still has to get its pointer. */
export interface NewBlock {
  readonly bytes: Uint8Array
  readonly blake3: Buffer
  readonly source: BlockSource | undefined
}
export type PendingBlock = NewBlock & { readonly change: Change }

export interface BlockFilesParts {
  readonly folder: string
  readonly db: Database
  readonly mark: Mark
  readonly readOnly: boolean
  /** False: new blocks go into RocksDB, tagged; what lies outside stays readable. */
  readonly outside: boolean
  readonly fileBytes?: number | undefined
}

/** The blocks of one store that lie outside of its RocksDB (docs/format/store.md). */
export class BlockFiles {
  readonly #parts: BlockFilesParts
  readonly #writer: BlockWriter
  readonly #sources: SourceTable
  readonly #reader: BlockReader
  readonly #faults = new BlockFaults()
  /** Shared by transactions that write pointers, exclusive for a move of blocks. */
  readonly #pointers = new SharedLock()
  /** How many transactions have bytes in a block file that no pointer in RocksDB names yet. */
  readonly #unsettled = new Map<number, number>()

  private constructor(parts: BlockFilesParts, writer: BlockWriter) {
    this.#parts = parts
    this.#writer = writer
    this.#sources = new SourceTable(parts.db)
    this.#reader = new BlockReader(parts.folder, this.#sources, this.#faults)
  }

  static async open(parts: BlockFilesParts): Promise<BlockFiles> {
    return new BlockFiles(parts, await BlockWriter.open(parts.folder, parts.fileBytes))
  }

  /** What was found damaged, missing or changed since the store was opened, newest last, at most 1,000. */
  get faults(): readonly BlockFault[] {
    return this.#faults.all
  }

  /** Durable: all bytes written so far. Throws DISK_FULL or WRITE_FAILED. */
  async sync(): Promise<void> {
    await this.#writer.sync().catch(this.#cannotWrite)
  }

  /**
   * Where the blocks from `start` up to `end` of `core` lie; blocks that are not here are left out.
   * The bytes are not looked at: whoever reads them checks their BLAKE3.
   */
  async extents(core: Hypercore, start: number, end: number): Promise<BlockExtent[]> {
    const indexes = Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i)
    return (await this.#extents(core, indexes)).filter(one => one !== null)
  }

  /** As `extents` for blocks anywhere: one an index, null for a block that is not here. */
  async extentsAt(
    core: Hypercore,
    indexes: readonly number[],
  ): Promise<readonly (BlockExtent | null)[]> {
    return await this.#extents(core, indexes)
  }

  /** BLAKE3 of the stored bytes of each block, null for one that is not here; only small blocks are read. */
  async digests(core: Hypercore, indexes: readonly number[]): Promise<(Buffer | null)[]> {
    const extents = await this.#extents(core, indexes)
    return extents.map(one => one && (one.blake3 ?? blake3Digest((one as { bytes: Buffer }).bytes)))
  }

  async close(): Promise<void> {
    await this.#writer.close()
    await this.#reader.close()
  }

  /** What a transaction stores for `bytes`: a value, or a block whose bytes are written at its end. */
  valueFor(bytes: Uint8Array): Buffer | NewBlock {
    if (this.#parts.mark.tagged === 'none') return bytes as Buffer
    const outside = this.#parts.outside && bytes.length >= OUTSIDE_BYTES
    if (!outside || bytes.length > MAX_BLOCK_BYTES) return encodeInline(bytes)
    const note = takeNote(bytes)
    return { bytes, blake3: note?.blake3 ?? blake3Digest(bytes), source: note?.source }
  }

  /** Writes the bytes of `blocks`, fills in their pointers, then lets `settle` store those. */
  async write<T>(
    blocks: readonly PendingBlock[],
    intoView: boolean,
    settle: () => Promise<T>,
  ): Promise<T> {
    const own = blocks.filter(one => one.source === undefined)
    const id = own.length > 0 ? await this.#append(own) : 0
    for (const { source, change, bytes, blake3 } of blocks) {
      if (source === undefined) continue
      const pointer = { kind: 'source', offset: source.offset, length: bytes.length } as const
      change[1] = encodePointer({ ...pointer, id: await this.#sources.idOf(source), blake3 })
    }
    const result = await settle()
    // a view may be stored much later, or never: its files are left alone until the store closes
    if (!intoView) this.#count(id, -1)
    return result
  }

  /** The bytes of a block, given its key and its value in RocksDB. Rejects with BLOCK_DAMAGED. */
  async read(
    key: Buffer,
    stored: Promise<Buffer | null>,
    forPeer: boolean,
  ): Promise<Buffer | null> {
    const done = this.#reader.begin()
    try {
      const value = await stored
      if (value === null || !markTagged(this.#parts.mark, key)) return value
      return await this.#reader.bytes(value, forPeer)
    } finally {
      done()
    }
  }

  /** Runs `work`, which writes pointers, while no blocks are being moved. */
  async shared<T>(work: () => Promise<T>): Promise<T> {
    return await this.#pointers.shared(work)
  }

  async #append(blocks: readonly PendingBlock[]): Promise<number> {
    const { id, offset } = await this.#writer
      .append(blocks.map(one => one.bytes))
      .catch(this.#cannotWrite)
    this.#count(id, 1)
    let at = offset
    for (const { change, bytes, blake3 } of blocks) {
      const { length } = bytes
      change[1] = encodePointer({ kind: 'file', id, offset: at, length, blake3 })
      at += length
    }
    return id
  }

  async #extents(core: Hypercore, indexes: readonly number[]): Promise<(BlockExtent | null)[]> {
    return await readExtents(core, indexes, {
      tagged: key => markTagged(this.#parts.mark, key),
      file: id => blockFile(this.#parts.folder, id),
      source: async id => (await this.#sources.byId(id))?.path ?? null,
    })
  }

  readonly #cannotWrite = (error: unknown): never => {
    throw storeError(error, this.#parts.folder, this.#parts.folder)
  }

  #count(id: number, change: number): void {
    if (id > 0) this.#unsettled.set(id, (this.#unsettled.get(id) ?? 0) + change)
  }
}
