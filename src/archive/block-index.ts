import { constants } from 'node:fs'
import { mkdir, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { blake3Digest } from '../system/blake3.ts'
import { BlockTable, MAX_INDEXED_BLOCKS } from './block-table.ts'

/** BLAKE3 of what blocks hold, null for those that are not here. Reads no bytes where the store noted it. */
export type DigestsOf = (indexes: readonly number[]) => Promise<readonly (Buffer | null)[]>

/** The core that an index is of. */
export interface IndexedCore {
  readonly key: Buffer
  readonly fork: number
  readonly length: number
}

/** The file may be so much longer, so that it is not written anew with each publish. */
const SLACK_BLOCKS = 1 << 20
const DIGESTS_AT_ONCE = 4096
const MAGIC = Buffer.from('repro block index 0\n')
/** MAGIC, key of the core, fork (64 bit), first block (64 bit), 8 bytes of the BLAKE3 of these. */
const HEADER_BYTES = MAGIC.length + 32 + 8 + 8 + 8

/**
 * The local index of the blocks of a bundle by their BLAKE3: `<home>/blocks/<key>.idx`, 8 bytes a block in order of the core.
 * It is a cache of hints: each hit must be confirmed by the digest the store has. A file that is missing, cut off, foreign or
 * damaged costs only that blocks are looked up anew or stored twice.
 */
export class BlockIndex {
  readonly table: BlockTable
  readonly #path: string
  readonly #core: IndexedCore
  /** Blocks up to here are in the file as they are in the table; 0 when the file must be written anew. */
  #written: number
  #fileBase: number

  private constructor(path: string, core: IndexedCore, table: BlockTable, written: number) {
    this.#path = path
    this.#core = core
    this.table = table
    this.#written = written
    this.#fileBase = table.base
  }

  /** Reads the index of a core, and looks up what the file lacks. */
  static async open(
    home: string,
    key: string,
    core: IndexedCore,
    digests: DigestsOf,
    signal?: AbortSignal,
  ): Promise<BlockIndex> {
    const path = join(home, 'blocks', `${key}.idx`)
    const { length } = core
    const lowest = Math.max(0, length - MAX_INDEXED_BLOCKS)
    const file = await readIndexFile(path, core)
    const end = file ? Math.min(length, file.base + (file.words.length >>> 1)) : 0
    const known = file !== null && end >= lowest
    const base = known ? Math.max(lowest, file.base) : lowest
    const words = known
      ? file.words.subarray(2 * (base - file.base), 2 * (end - file.base))
      : new Uint32Array(0)
    const index = new BlockIndex(path, core, new BlockTable(base, words), known ? end : 0)
    if (file && known) index.#fileBase = file.base
    for (let at = index.table.end; at < length; at += DIGESTS_AT_ONCE) {
      signal?.throwIfAborted()
      const count = Math.min(DIGESTS_AT_ONCE, length - at)
      const some = await digests(Array.from({ length: count }, (_, i) => at + i))
      for (const digest of some) index.table.push(digest)
    }
    return index
  }

  /** Forgets the file: the next `open` looks everything up. */
  static async forget(home: string, key: string): Promise<void> {
    await rm(join(home, 'blocks', `${key}.idx`), { force: true })
  }

  /** Writes what the file lacks. What it says must be durable in the store by now. */
  async save(): Promise<void> {
    const { table } = this
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 })
    const tooLong = table.end - this.#fileBase > MAX_INDEXED_BLOCKS + SLACK_BLOCKS
    const anew = this.#written === 0 || tooLong || table.base > this.#written
    if (anew) this.#fileBase = Math.max(table.base, table.end - MAX_INDEXED_BLOCKS)
    const from = anew ? this.#fileBase : this.#written
    const words = table.wordsFrom(from)
    const handle = await open(this.#path, constants.O_RDWR | constants.O_CREAT, 0o600)
    try {
      if (anew) {
        await handle.truncate(0)
        await handle.write(headerOf(this.#core, this.#fileBase), 0, HEADER_BYTES, 0)
      }
      const position = HEADER_BYTES + 8 * (from - this.#fileBase)
      const bytes = littleEndian(words)
      await handle.write(bytes, 0, bytes.length, position)
      await handle.truncate(position + bytes.length)
      await handle.datasync()
      this.#written = table.end
    } finally {
      await handle.close()
    }
  }
}

/** Null for a file that is not there, or not of this core. */
async function readIndexFile(
  path: string,
  core: IndexedCore,
): Promise<{ base: number; words: Uint32Array } | null> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const handle = await open(path, flags).catch(() => null)
  if (!handle) return null
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) return null
    const header = Buffer.alloc(HEADER_BYTES)
    await handle.read(header, 0, HEADER_BYTES, 0)
    const base = Number(header.readBigUInt64LE(HEADER_BYTES - 16))
    if (!Number.isSafeInteger(base) || !header.equals(headerOf(core, base))) return null
    const count = Math.min(
      Math.floor((stats.size - HEADER_BYTES) / 8),
      MAX_INDEXED_BLOCKS + 2 * SLACK_BLOCKS,
    )
    const bytes = new Uint8Array(8 * count)
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, HEADER_BYTES)
    return { base, words: wordsOf(bytes.subarray(0, bytesRead - (bytesRead % 8))) }
  } finally {
    await handle.close()
  }
}

function headerOf({ key, fork }: IndexedCore, base: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(header)
  key.copy(header, MAGIC.length)
  header.writeBigUInt64LE(BigInt(fork), MAGIC.length + 32)
  header.writeBigUInt64LE(BigInt(base), MAGIC.length + 40)
  blake3Digest(header.subarray(0, HEADER_BYTES - 8)).copy(header, HEADER_BYTES - 8, 0, 8)
  return header
}

const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

function wordsOf(bytes: Uint8Array): Uint32Array {
  if (!isLittleEndian) Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).swap32()
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2)
}

function littleEndian(words: Uint32Array): Buffer {
  const bytes = Buffer.from(words.buffer, words.byteOffset, words.byteLength)
  return isLittleEndian ? bytes : Buffer.from(bytes).swap32()
}
