import { blake3Digest } from '../../system/blake3.ts'
import { blockFile } from './block-writer.ts'
import { type BlockFault, type BlockFaults, blockDamaged } from './faults.ts'
import { OpenFiles } from './open-files.ts'
import type { SourceTable } from './source-table.ts'
import { decodeValue, type Pointer } from './stored-value.ts'

const OPEN_FILES = 64

interface Place {
  readonly path: string
  readonly offset: number
  readonly length: number
  readonly blake3: Buffer | null
}

/** Reads blocks by their values; every block that lies outside is checked by its length and BLAKE3. */
export class BlockReader {
  readonly #folder: string
  readonly #sources: SourceTable
  readonly #faults: BlockFaults
  readonly #files = new OpenFiles(OPEN_FILES)
  /** Files of the author's are not kept open: their disk may be removed. */
  readonly #sourceFiles = new OpenFiles(0)
  #reads = new Set<Promise<void>>()

  constructor(folder: string, sources: SourceTable, faults: BlockFaults) {
    this.#folder = folder
    this.#sources = sources
    this.#faults = faults
  }

  /** Counts a read from before its value is known until what it returns is called. */
  begin(): () => void {
    let end = (): void => undefined
    const read = new Promise<void>(resolve => {
      end = resolve
    })
    this.#reads.add(read)
    return () => {
      this.#reads.delete(read)
      end()
    }
  }

  /** Resolves when the reads that run now have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#reads)
  }

  /** The bytes of `value`. Throws BLOCK_DAMAGED. */
  async bytes(value: Buffer): Promise<Buffer> {
    const stored = decodeValue(value)
    if (stored.kind === 'inline') return stored.bytes
    if (stored.kind === 'invalid')
      throw this.#fault('the database of the store', 0, value.length, 'damaged')
    return await this.outside(stored)
  }

  /** The bytes that `pointer` names. Throws BLOCK_DAMAGED. */
  async outside(pointer: Pointer): Promise<Buffer> {
    const { kind, id, offset, length } = pointer
    const source = kind === 'source' ? await this.#sources.byId(id) : null
    if (kind === 'source' && source === null)
      throw this.#fault(`source ${id}`, offset, length, 'source missing')
    const path = source?.path ?? blockFile(this.#folder, id)
    let bytes: Buffer | null
    try {
      bytes = await (source ? this.#sourceFiles : this.#files).read(path, offset, length)
    } catch (error) {
      throw this.#fault(path, offset, length, source ? 'source missing' : 'missing', error)
    }
    if (bytes !== null && blake3Digest(bytes).equals(pointer.blake3)) return bytes
    throw this.#fault(path, offset, length, source ? 'source changed' : 'damaged')
  }

  /** Whether bytes are where an extent says. */
  async holds(extent: Place): Promise<boolean> {
    const { path, offset, length, blake3 } = extent
    const bytes = await this.#sourceFiles.read(path, offset, length).catch(() => null)
    return bytes !== null && blake3Digest(bytes).equals(blake3!)
  }

  /** Keeps a block file readable after its name is gone, for snapshots that still point into it. */
  async hold(id: number): Promise<void> {
    await this.#files.hold(blockFile(this.#folder, id))
  }

  async drop(id: number): Promise<void> {
    await this.#files.drop(blockFile(this.#folder, id))
  }

  async close(): Promise<void> {
    await this.#files.close()
    await this.#sourceFiles.close()
  }

  #fault(
    path: string,
    offset: number,
    length: number,
    reason: BlockFault['reason'],
    cause?: unknown,
  ) {
    const fault = { path, offset, length, reason }
    this.#faults.note(fault)
    return blockDamaged(fault, cause)
  }
}
