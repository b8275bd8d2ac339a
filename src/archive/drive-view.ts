import type Hypercore from 'hypercore'
import type Hyperdrive from 'hyperdrive'
import type { DriveBlob, DriveNode } from 'hyperdrive'
import { fail } from '../core/errors.ts'
import { scanBee } from './bee-scan.ts'
import { BlobGuesses } from './blob-guesses.ts'
import { decodeBlockMap, MAX_MAP_BLOCKS, type MappedBlock, malformed } from './block-map.ts'
import { blockFinder } from './block-places.ts'
import { offeredBy } from './housekeeping/refetch-blocks.ts'
import { RepairJournal } from './housekeeping/repair-journal.ts'
import type { Patience } from './patience.ts'
import { isDamage } from './store-errors.ts'

/** One entry of a drive, checked: nothing in it may be believed but its form. */
export interface DriveEntry {
  /** Bundle path, without the leading slash. */
  readonly path: string
  /** Index of the Bee block that put it. */
  readonly seq: number
  readonly executable: boolean
  readonly linkname: string | null
  readonly blob: DriveBlob | null
  /** BLAKE3 as the writer noted it. */
  readonly blake3: string | null
}

const READ_AHEAD_BLOCKS = 8
/** 16 TiB in blocks of 256 KiB: no file has more blocks. */
const MAX_BLOCKS = 1 << 26

/** A drive at one length, read with patience. Close it. */
export class DriveView {
  readonly length: number
  readonly patience: Patience
  readonly #drive: Hyperdrive
  readonly #main: Hyperdrive

  constructor(main: Hyperdrive, length: number, patience: Patience) {
    this.#main = main
    this.length = length
    this.patience = patience
    this.#drive = main.checkout(length)
  }

  /** The entry at a bundle path, or null. */
  async entry(path: string): Promise<DriveEntry | null> {
    const node = await this.patience.wait(this.#drive.entry(`/${path}`, this.patience.options))
    return node && checkEntry(node)
  }

  /** Entries below `folder` in order of their bytes; all of them for ''. */
  async *list(folder: string): AsyncGenerator<DriveEntry> {
    const prefix = folder === '' ? '' : `/${folder}`
    const nodes = this.#drive.entries({ gt: `${prefix}/`, lt: `${prefix}0` }, this.patience.options)
    for await (const node of this.patience.each(nodes)) yield checkEntry(node)
  }

  /** Entries from one path to another, both included, in order of their bytes. */
  async *range(first: string, last: string): AsyncGenerator<DriveEntry> {
    const nodes = this.#drive.entries({ gte: `/${first}`, lte: `/${last}` }, this.patience.options)
    for await (const node of this.patience.each(nodes)) yield checkEntry(node)
  }

  /**
   * A guess at the blobs by path, from one reading of all that is here: newer puts hide older ones, deletions are not
   * seen. Null when there are more blocks than that, or they cannot be read at once. `whole` when every block is here.
   */
  async guess(mostBlocks: number): Promise<{
    readonly blobs: BlobGuesses
    readonly whole: boolean
  } | null> {
    const find = this.length > mostBlocks ? null : blockFinder(this.#main.core)
    if (find === null) return null
    const blobs = new BlobGuesses(this.length)
    let whole = true
    for await (const put of scanBee(find, this.length)) {
      if (put === null) whole = false
      else {
        const entry = entryOf(put)
        if (entry) blobs.set(entry.path, entry.blob)
      }
    }
    return { blobs, whole }
  }

  /**
   * Lets peers send the blocks of all entries while others are being waited for, when there are at most so many and
   * peers may be asked at all. Returns what ends it.
   */
  fetchAhead(mostBlocks: number): () => void {
    if (this.patience.offline || this.length > mostBlocks) return () => undefined
    const download = this.#main.core.download({ start: 0, end: this.length })
    download.done().catch(() => undefined)
    return () => download.destroy()
  }

  /** What was put (its entry) or deleted (null) by each block from `from` on, oldest first. */
  async *changes(
    from: number,
  ): AsyncGenerator<{ readonly path: string; readonly entry: DriveEntry | null }> {
    const range = { gte: from, lt: this.length, ...this.patience.options }
    for await (const item of this.patience.each(this.#drive.db.createHistoryStream(range))) {
      const key = /^files\0\/(.*)$/s.exec(item.key)?.[1]
      if (key === undefined) continue
      yield { path: key, entry: item.type === 'put' ? checkEntry({ ...item, key }) : null }
    }
  }

  /** The bytes of a small file; null when it is not there. Throws RECORD_INVALID, unread, when it is too large. */
  async read(path: string, maxBytes: number): Promise<Buffer | null> {
    const entry = await this.entry(path)
    if (!entry) return null
    if (!entry.blob) fail('RECORD_INVALID', `"${path}" in the drive is no file`)
    if (entry.blob.byteLength > maxBytes)
      fail(
        'RECORD_INVALID',
        `"${path}" in the drive has ${entry.blob.byteLength} bytes, at most ${maxBytes} are read`,
      )
    const chunks: Uint8Array[] = []
    for await (const chunk of this.stream(entry.blob, maxBytes)) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  /** The bytes of a blob of one block, when it is here. */
  async small(blob: DriveBlob): Promise<Buffer | null> {
    if (blob.blockMap || blob.blockLength !== 1) return null
    const { core } = await this.#blobs()
    return await this.patience.wait(core.get(blob.blockOffset, { wait: false }))
  }

  /** The core that holds the bytes of files. */
  async blobs(): Promise<Hypercore> {
    return (await this.#blobs()).core
  }

  async #blobs() {
    if (!this.#main.blobs && this.patience.offline && !(await this.#main.core.has(0)))
      fail('NO_PEER', 'the head of the drive is not here', {
        hints: ['repeat the command without --offline'],
      })
    const blobs = this.#main.blobs ?? (await this.patience.wait(this.#main.getBlobs()))
    return blobs ?? fail('RECORD_INVALID', 'the drive names no core for the bytes of its files')
  }

  /** The bytes of a blob, at most `maxBytes` of them whatever the drive says. */
  async *stream(blob: DriveBlob, maxBytes: number): AsyncGenerator<Uint8Array> {
    let left = maxBytes
    for await (const chunk of this.#chunks(blob, maxBytes)) {
      if (chunk.length > left) fail('HASH_MISMATCH', `a file has more than ${maxBytes} bytes`)
      left -= chunk.length
      yield chunk
    }
  }

  /**
   * The blocks of a blob with a block map, which is brought here for it.
   * Throws HASH_MISMATCH for a map that is malformed or names more than `maxBytes`.
   */
  async blockMap(blob: DriveBlob, maxBytes: number): Promise<MappedBlock[]> {
    if (blob.blockLength > MAX_MAP_BLOCKS) malformed(`has ${blob.blockLength} parts`)
    const parts: Buffer[] = []
    for await (const part of this.#blocks(blob.blockLength, i => blob.blockOffset + i))
      parts.push(part)
    return decodeBlockMap(parts, blob.blockOffset, maxBytes)
  }

  async *#chunks(blob: DriveBlob, maxBytes: number): AsyncGenerator<Uint8Array> {
    if (!blob.blockMap) {
      yield* this.#blocks(blob.blockLength, i => blob.blockOffset + i)
      return
    }
    const map = await this.blockMap(blob, maxBytes)
    let at = 0
    for await (const block of this.#blocks(map.length, i => map[i]!.index)) {
      if (block.length !== map[at++]!.byteLength) malformed('gives a block another length')
      yield block
    }
  }

  /** Blocks in order, a few of them asked for ahead. */
  async *#blocks(count: number, indexOf: (i: number) => number): AsyncGenerator<Buffer> {
    const { core } = await this.#blobs()
    const ahead: Promise<Buffer | null>[] = []
    const fetchBlock = (index: number) => {
      const block = this.#block(core, index)
      block.catch(() => undefined)
      ahead.push(block)
    }
    let next = 0
    for (let i = 0; i < count; i++) {
      while (next < count && next < i + READ_AHEAD_BLOCKS) fetchBlock(indexOf(next++))
      const block = await this.patience.wait(ahead.shift()!)
      if (block === null)
        fail('NO_PEER', 'not all bytes of the file are here', {
          hints: ['repeat the command without --offline'],
        })
      yield block
    }
  }

  /** One block. One that is damaged on disk is given up and asked for again where a connected peer has it. */
  async #block(core: Hypercore, index: number): Promise<Buffer | null> {
    try {
      return await core.get(index, this.patience.options)
    } catch (error) {
      if (this.patience.offline || core.writable || !isDamage(error)) throw error
      if (core.peers.length === 0 || (await offeredBy(core, [index], undefined)).length === 0)
        throw error
      const { folder, key } = this.patience.bundle
      const journal = await RepairJournal.open(folder, key)
      await journal.begin(core, [index])
      await core.clear(index, index + 1)
      const block = await core.get(index, this.patience.options)
      if (block !== null) await journal.end(core, [index])
      return block
    }
  }

  async close(): Promise<void> {
    await this.#drive.close()
  }
}

const isIndex = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0

function checkEntry(node: DriveNode): DriveEntry {
  const entry = entryOf(node)
  if (entry) return entry
  const path = node.key.replace(/^\//, '')
  fail('RECORD_INVALID', `the entry "${path}" of the drive is malformed`, { data: { path } })
}

/** Null for one that is malformed. */
function entryOf(node: DriveNode): DriveEntry | null {
  const value = node.value as {
    executable?: unknown
    linkname?: unknown
    blob?: Partial<DriveBlob> | null
    metadata?: { blake3?: unknown } | null
  } | null
  const path = node.key.replace(/^\//, '')
  const blob = value?.blob ?? null
  const linkname = value?.linkname ?? null
  const blobFits =
    blob === null ||
    (isIndex(blob.blockOffset) &&
      isIndex(blob.blockLength) &&
      isIndex(blob.byteOffset) &&
      isIndex(blob.byteLength) &&
      blob.blockLength <= MAX_BLOCKS &&
      (blob.blockMap === true || blob.blockLength <= blob.byteLength))
  if (
    typeof value !== 'object' ||
    value === null ||
    !blobFits ||
    (linkname !== null && typeof linkname !== 'string')
  )
    return null
  const blake3 = value.metadata?.blake3
  return {
    path,
    seq: node.seq,
    executable: value.executable === true,
    linkname,
    blob: blob as DriveBlob | null,
    blake3: typeof blake3 === 'string' && /^[0-9a-f]{64}$/.test(blake3) ? blake3 : null,
  }
}
