import type Hypercore from 'hypercore'
import type { Database } from 'hypercore-storage'
import { fail } from '../../core/errors.ts'
import { blake3Digest } from '../../system/blake3.ts'
import { storeError } from '../store-errors.ts'
import { takeNote } from './block-notes.ts'
import { BlockPlacer } from './block-placer.ts'
import { BlockReader } from './block-reader.ts'
import { BlockWriter, blockFile } from './block-writer.ts'
import {
  type CompactOptions,
  type CompactResult,
  type CompactRoom,
  compactBlocks,
} from './compaction.ts'
import { type BlockExtent, readExtents } from './extents.ts'
import { type BlockFault, BlockFaults } from './faults.ts'
import { countLost } from './lost-blocks.ts'
import { type Mark, markTagged } from './mark.ts'
import type { NewBlock, PendingBlock } from './new-block.ts'
import { type FoundBlock, type RestoreRoom, restoreBlocks } from './restore.ts'
import { SharedLock } from './shared-lock.ts'
import { SourceTable } from './source-table.ts'
import { encodeInline, MAX_BLOCK_BYTES, OUTSIDE_BYTES } from './stored-value.ts'
import { type BlockUsage, measureFiles, sumUsage } from './usage.ts'

export interface BlockFilesParts {
  readonly folder: string
  readonly db: Database
  readonly mark: Mark
  /** How many data pointers the store has. */
  countDataPointers(): Promise<number>
  /** False: new blocks go into RocksDB, tagged; what lies outside stays readable. */
  readonly outside: boolean
  readonly fileBytes?: number | undefined
}

type UnservableListener = (dataPointer: number, index: number, length: number) => void

/** The blocks of one store that lie outside of its RocksDB (docs/format/store.md). */
export class BlockFiles {
  readonly #parts: BlockFilesParts
  readonly #writer: BlockWriter
  readonly #sources: SourceTable
  readonly #placer: BlockPlacer
  readonly #reader: BlockReader
  readonly #faults = new BlockFaults()
  /** Shared by transactions that write pointers, exclusive for a move of blocks. */
  readonly #pointers = new SharedLock()
  /** Removed by a compaction, and still open. */
  readonly #retired = new Set<number>()
  #unservable: UnservableListener = () => undefined
  #writeFault: unknown = null
  #compacting: Promise<unknown> = Promise.resolve()

  private constructor(parts: BlockFilesParts, writer: BlockWriter) {
    this.#parts = parts
    this.#writer = writer
    this.#sources = new SourceTable(parts.db)
    this.#placer = new BlockPlacer(writer, this.#sources)
    this.#reader = new BlockReader(parts.folder, this.#sources, this.#faults)
  }

  static async open(parts: BlockFilesParts): Promise<BlockFiles> {
    return new BlockFiles(parts, await BlockWriter.open(parts.folder, parts.fileBytes))
  }

  /** What was found damaged, missing or changed since the store was opened, newest last, at most 1,000. */
  get faults(): readonly BlockFault[] {
    return this.#faults.all
  }

  /**
   * Why the last transaction that failed was not written; null when all were. Hypercore itself keeps silent where it
   * stores what a peer sent.
   */
  get writeFault(): unknown {
    return this.#writeFault
  }

  /** Runs `work`, which writes, and keeps why it fails. */
  async watchWrite<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      this.#writeFault = error
      throw error
    }
  }

  /** Durable: all bytes written so far, and the author's files that blocks point into. Throws DISK_FULL or WRITE_FAILED. */
  async sync(): Promise<void> {
    await this.#writer.sync()
    await this.#sources.sync().catch(error => {
      throw storeError(error, this.#parts.folder, this.#parts.folder)
    })
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

  /**
   * BLAKE3 of the stored bytes of each block, null for one that is not here, and for one in an author's file that went away
   * or changed; only small blocks are read.
   */
  async digests(core: Hypercore, indexes: readonly number[]): Promise<(Buffer | null)[]> {
    const extents = await this.#extents(core, indexes, id => this.#sources.unchanged(id))
    return extents.map(one => one && (one.blake3 ?? blake3Digest((one as { bytes: Buffer }).bytes)))
  }

  /** Whether the bytes of each block are here as its pointer says; they are read for that. */
  async intact(core: Hypercore, indexes: readonly number[]): Promise<boolean[]> {
    const done = this.#reader.begin()
    try {
      const extents = await this.#extents(core, indexes)
      return await Promise.all(
        extents.map(
          async one => one !== null && ('bytes' in one || (await this.#reader.holds(one))),
        ),
      )
    } finally {
      done()
    }
  }

  /** Those of `indexes` whose bytes were found damaged before, since the store was opened. Reads none. */
  async knownDamaged(core: Hypercore, indexes: readonly number[]): Promise<number[]> {
    if (this.#faults.all.length === 0) return []
    const extents = await this.#extents(core, indexes)
    return indexes.filter((_, i) => {
      const one = extents[i]
      return one && 'path' in one && this.#faults.has(one.path, one.offset)
    })
  }

  /**
   * Gives blocks of `core` their bytes again that are damaged on disk, or lay in an author's file which went away or changed; the others of `found`
   * are left alone. Gives the numbers of those that were restored. Throws DISK_FULL, WRITE_FAILED.
   */
  async restore(core: Hypercore, found: readonly FoundBlock[]): Promise<number[]> {
    const room: RestoreRoom = {
      db: this.#parts.db,
      sources: this.#sources,
      holds: async pointer => (await this.#reader.outside(pointer).catch(() => null)) !== null,
      write: (blocks, settle) => this.write(blocks, false, settle),
      sync: () => this.sync(),
      alone: work => this.#pointers.alone(work),
    }
    return await restoreBlocks(room, core, found)
  }

  /** What the blocks of this store take on disk; reads every pointer. */
  async usage(): Promise<BlockUsage> {
    const { db, folder } = this.#parts
    return sumUsage(await measureFiles(db, await this.#parts.countDataPointers(), folder))
  }

  /**
   * Gives disk back: what no block points at any more. Extents that were asked for before are not
   * valid after. Throws DISK_FULL, WRITE_FAILED, and INTERRUPTED when the signal was given.
   */
  async compact(options: CompactOptions = {}): Promise<CompactResult> {
    const before = this.#compacting
    const now = before.then(() => this.#compact(options))
    this.#compacting = now.catch(() => undefined)
    return await now
  }

  async close(): Promise<void> {
    await this.#compacting
    await this.#writer.close()
    await this.#reader.close()
  }

  #liesOutside(bytes: Uint8Array): boolean {
    const { mark, outside } = this.#parts
    const fits = bytes.length >= OUTSIDE_BYTES && bytes.length <= MAX_BLOCK_BYTES
    return outside && mark.tagged === 'all' && fits
  }

  /** What a transaction stores for `bytes`: a value, or a block whose bytes are written at its end. */
  valueFor(bytes: Uint8Array): Buffer | NewBlock {
    if (this.#parts.mark.tagged === 'none') return bytes as Buffer
    if (!this.#liesOutside(bytes)) return encodeInline(bytes)
    const note = takeNote(bytes)
    const { blake3 = blake3Digest(bytes), source } = note ?? {}
    return { bytes, blake3, source }
  }

  /** Writes the bytes of `blocks`, fills in their pointers, then lets `settle` store those. */
  async write<T>(
    blocks: readonly PendingBlock[],
    intoView: boolean,
    settle: () => Promise<T>,
  ): Promise<T> {
    return await this.#placer.write(blocks, intoView, settle)
  }

  /**
   * The bytes of a block, given its key and its value in RocksDB. What is damaged is null for a peer,
   * who asks others then; else it rejects with BLOCK_DAMAGED.
   */
  async read(key: Buffer, stored: Promise<Buffer | null>): Promise<Buffer | null> {
    const done = this.#reader.begin()
    try {
      const value = await stored
      if (value === null || !markTagged(this.#parts.mark, key)) return value
      return await this.#reader.bytes(value)
    } finally {
      done()
    }
  }

  /** The bytes of a value that RocksDB has for a block. Throws BLOCK_DAMAGED. */
  async bytes(value: Buffer): Promise<Buffer> {
    const { tagged } = this.#parts.mark
    if (typeof tagged !== 'string')
      fail('STORE_INVALID', 'the store is half migrated: its blocks cannot be exported', {
        hints: ['open it for writing once, with any command that is not read-only'],
      })
    return tagged === 'none' ? value : await this.#reader.bytes(value)
  }

  /** Like `read` for a peer: what is damaged is not here for it, and `onUnservable` hears of it. */
  async readForPeer(
    key: Buffer,
    stored: Promise<Buffer | null>,
    dataPointer: number,
    index: number,
  ): Promise<Buffer | null> {
    try {
      return await this.read(key, stored)
    } catch {
      const lost = { dataPointer, index, value: await stored }
      const length = await countLost(this.#parts.db, this.#sources, lost)
      this.#unservable(dataPointer, index, length)
      return null
    }
  }

  /**
   * `listen` is called with the data, the index and the number of blocks when a peer asked for the
   * first of them and they are damaged.
   */
  onUnservable(listen: UnservableListener): void {
    this.#unservable = listen
  }

  /** Counts a reader that holds on to pointers; what it returns ends that. */
  beginReading(): () => void {
    return this.#reader.begin()
  }

  /** Runs `work`, which writes pointers, while no blocks are being moved. */
  async shared<T>(work: () => Promise<T>): Promise<T> {
    return await this.#pointers.shared(work)
  }

  async #compact(options: CompactOptions): Promise<CompactResult> {
    await this.#dropRetired()
    const { db, folder } = this.#parts
    const room: CompactRoom = {
      db,
      folder,
      countDataPointers: () => this.#parts.countDataPointers(),
      newest: () => this.#writer.newest,
      roll: () => this.#writer.roll(),
      isUnsettled: id => this.#placer.isUnsettled(id),
      read: pointer => this.#reader.outside(pointer),
      write: (blocks, settle) => this.write(blocks, false, settle),
      sync: () => this.sync(),
      alone: work => this.#pointers.alone(work),
      retire: async (id, remove) => {
        await this.#reader.hold(id)
        this.#retired.add(id)
        await remove()
        void this.#reader.settled().then(() => this.#dropRetired())
      },
    }
    return await compactBlocks(room, options).catch(error => {
      throw storeError(error, folder, folder)
    })
  }

  /** Snapshots may still point into removed files: these stay open until no snapshot is. */
  async #dropRetired(): Promise<void> {
    if (this.#parts.db._state.sessions.some(session => session._snapshot !== null)) return
    const ids = [...this.#retired]
    this.#retired.clear()
    for (const id of ids) await this.#reader.drop(id)
  }

  async #extents(
    core: Hypercore,
    indexes: readonly number[],
    source = async (id: number) => (await this.#sources.byId(id))?.path ?? null,
  ): Promise<(BlockExtent | null)[]> {
    return await readExtents(core, indexes, {
      tagged: key => markTagged(this.#parts.mark, key),
      file: id => blockFile(this.#parts.folder, id),
      source,
    })
  }
}
