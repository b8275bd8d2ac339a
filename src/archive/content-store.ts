import type Hypercore from 'hypercore'
import type { DriveBlob } from 'hyperdrive'
import type { WorkRecord } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import type { IngestedFile } from '../core/home.ts'
import type { SourceFile } from '../core/source-file.ts'
import { formatBytes } from '../core/text.ts'
import { blake3Digest } from '../system/blake3.ts'
import { AVERAGE_BLOCK } from '../system/cutter.mjs'
import type { IngestEvent } from '../system/ingest-events.ts'
import { IngestPool } from '../system/ingest-pool.ts'
import { enterPhase } from '../system/phase.ts'
import { BlobTable } from './blob-table.ts'
import { BlobWriter, type RestoreBlocks, type StoredBlob } from './blob-writer.ts'
import type { BlockSource } from './block-files/block-notes.ts'
import { OUTSIDE_BYTES } from './block-files/stored-value.ts'
import { BlockIndex, type DigestsOf } from './block-index.ts'
import { decodeBlockMap, MAX_MAPPED_BLOCKS } from './block-map.ts'
import type { BlockProof } from './block-proof.ts'
import { byteOffsetOf } from './byte-offsets.ts'
import { IMAGES_FOLDER } from './drive-paths.ts'
import type { OpenBlob } from './open-blob.ts'
import { UsedBlocks } from './used-blocks.ts'

const PROGRESS_MS = 200
const TEXT_BLOCK_BYTES = 256 << 10

export interface ContentStoreOptions {
  readonly home: string
  readonly key: string
  readonly core: Hypercore
  readonly digests: DigestsOf
  readonly restore: RestoreBlocks
  readonly proof: BlockProof
  /** First block behind the newest release. */
  readonly since: number
  readonly inPlace: boolean
}

/** A file of more bytes has more blocks than a block map may name. */
const MAX_SHARED_BYTES = MAX_MAPPED_BLOCKS * AVERAGE_BLOCK

function* noteLong(files: readonly SourceFile[]): Generator<WorkRecord> {
  for (const { path, size } of files) {
    if (size <= MAX_SHARED_BYTES) continue
    const message = `${path} has ${formatBytes(size)}: above ${formatBytes(MAX_SHARED_BYTES)} a file is stored as a whole, and again as a whole when bytes were put in; several files of fewer bytes share what they have in common`
    yield { action: 'note', subject: path, message }
  }
}

/** The contents that one publish has stored, by the BLAKE3 of the whole. */
export class ContentStore {
  readonly #options: ContentStoreOptions
  readonly #blobs = new BlobTable()
  readonly #used: UsedBlocks
  #index: BlockIndex | null = null
  #writer: BlobWriter | null = null
  #pool: IngestPool | null = null
  /** Of the author's files: contents that needed new blocks, and the bytes of these. */
  storedFiles = 0
  storedBytes = 0

  constructor(options: ContentStoreOptions) {
    this.#options = options
    this.#used = new UsedBlocks(options.since)
  }

  /** Reads, hashes and stores files: a result for each, in their order. Throws DISK_FULL, INTERRUPTED. */
  async *ingest(
    files: readonly SourceFile[],
    signal?: AbortSignal,
  ): AsyncGenerator<WorkRecord, readonly IngestedFile[]> {
    const results = new Array<IngestedFile>(files.length)
    if (files.length === 0) return results
    const writer = await this.#open(signal)
    yield* noteLong(files)
    const totalBytes = files.reduce((sum, file) => sum + file.size, 0)
    const done = { bytes: 0, files: 0 }
    let shown = Date.now()
    this.#pool ??= new IngestPool({
      expectedBytes: totalBytes,
      expectedFiles: files.length,
      bytes: true,
      // A block that may be there already is probably not appended.
      leaves: blake3 => !this.#index?.table.has(blake3),
    })
    let open: OpenBlob | null = null
    for await (const event of this.#pool.run(files, signal)) {
      enterPhase('hash')
      switch (event.type) {
        case 'files':
          await this.#addSmall(writer, files, event, results)
          for (const { hashed } of event.files) done.bytes += hashed.size
          done.files += event.files.length
          break
        case 'blocks': {
          open ??= writer.begin(files[event.index]!.size)
          let offset = open.bytes
          const blocks = event.blocks.map(block => {
            const source = this.#sourceOf(files[event.index]!, offset)
            offset += block.bytes.length
            return { ...block, ...(source ? { source } : {}) }
          })
          done.bytes += offset - open.bytes
          await writer.extend(open, blocks, event.done)
          break
        }
        case 'end': {
          const { path } = files[event.index]!
          const blob = await writer.finish(open ?? writer.begin())
          open = null
          this.#note(event.hashed.blake3, blob, true)
          results[event.index] = { path, ...event.hashed }
          done.files++
          break
        }
        case 'fault':
          open = null
          results[event.index] = { path: files[event.index]!.path, error: event.error }
          done.files++
      }
      if (Date.now() - shown < PROGRESS_MS) continue
      shown = Date.now()
      yield {
        action: 'progress',
        subject: 'store',
        ...done,
        totalBytes,
        totalFiles: files.length,
      }
    }
    await writer.flush()
    return results
  }

  /** Stores texts of repro's own, few at a time. */
  async addTexts(texts: readonly { readonly blake3: string; readonly text: string }[]) {
    const writer = await this.#open()
    const contents = texts.map(({ blake3, text }) => ({ blake3, bytes: Buffer.from(text) }))
    const short = contents.filter(({ bytes }) => bytes.length <= TEXT_BLOCK_BYTES)
    const blobs = await writer.addBlocks(
      short.map(({ blake3, bytes }) => ({ bytes, blake3: Buffer.from(blake3, 'hex') })),
    )
    for (const [i, { blake3 }] of short.entries()) this.#note(blake3, blobs[i]!, false)
    for (const { blake3, bytes } of contents) {
      if (bytes.length <= TEXT_BLOCK_BYTES) continue
      const open = writer.begin()
      for (let at = 0; at < bytes.length; at += TEXT_BLOCK_BYTES) {
        const block = bytes.subarray(at, at + TEXT_BLOCK_BYTES)
        await writer.extend(open, [{ bytes: block, blake3: blake3Digest(block) }], () => {})
      }
      this.#note(blake3, await writer.finish(open), false)
    }
  }

  /** The bytes of a content that is one block with this BLAKE3, or null where none is known. */
  async read(blake3: string): Promise<Buffer | null> {
    await this.#open()
    const digest = Buffer.from(blake3, 'hex')
    for (const block of this.#index!.table.find(digest)) {
      const bytes = await this.#options.core.get(block, { wait: false }).catch(() => null)
      if (bytes && blake3Digest(bytes).equals(digest)) return bytes
    }
    return null
  }

  has(blake3: string): boolean {
    return this.#blobs.has(blake3)
  }

  /** Where a content lies, for an entry that is written now. */
  async blobFor(blake3: string): Promise<DriveBlob | null> {
    const blob = this.#blobs.get(blake3)
    if (!blob) return null
    const { blockOffset, blockLength, byteLength, blockMap } = blob
    this.#used.add(blockOffset, blockOffset + blockLength)
    for (let i = 0; i < blob.mapped.length; i += 2)
      this.#used.add(blob.mapped[i]!, blob.mapped[i + 1]!)
    const byteOffset =
      blob.byteOffset >= 0 ? blob.byteOffset : await byteOffsetOf(this.#options.core, blockOffset)
    return {
      blockOffset,
      blockLength,
      byteOffset,
      byteLength,
      ...(blockMap ? { blockMap } : {}),
    }
  }

  /** Whether all blocks of a blob that a publish left, which was cut off, are really here. */
  async holds(blob: DriveBlob): Promise<boolean> {
    return await this.#options.proof.holds(blob)
  }

  /** Keeps the blocks of a blob that the release has and this publish did not store. */
  async keep(blob: DriveBlob): Promise<void> {
    const { blockOffset, blockLength, blockMap } = blob
    const { core, since } = this.#options
    this.#used.add(blockOffset, blockOffset + blockLength)
    if (!blockMap || blockOffset < since) return
    const parts: Buffer[] = []
    for (let index = blockOffset; index < blockOffset + blockLength; index++) {
      const part = await core.get(index, { wait: false })
      if (!part) fail('STORE_INVALID', `block ${index} of the store went away while it was used`)
      parts.push(part)
    }
    for (const { index } of decodeBlockMap(parts, blockOffset, Number.MAX_SAFE_INTEGER))
      this.#used.add(index, index + 1)
  }

  /** Waits until all that was stored is in the core. */
  async flush(): Promise<void> {
    await this.#writer?.flush()
  }

  /** Writes the block index. What it says must be durable by now. */
  async saveIndex(): Promise<void> {
    await this.#index?.save()
  }

  /** Gives up the blocks up to `end` that were stored since the last release and are in none. */
  async clearUnused(end: number): Promise<void> {
    for (const range of this.#used.gaps(end)) await this.#options.core.clear(range.start, range.end)
  }

  /** Gives the memory of reading back: no file is read for now. */
  async rest(): Promise<void> {
    await this.#pool?.close()
    this.#pool = null
  }

  async close(): Promise<void> {
    await this.rest()
    // What is being written must not outlive the session; why it failed was told already.
    await this.#writer?.flush().catch(() => undefined)
  }

  async #addSmall(
    writer: BlobWriter,
    files: readonly SourceFile[],
    { files: read, done }: Extract<IngestEvent, { type: 'files' }>,
    results: IngestedFile[],
  ): Promise<void> {
    const blocks = read.map(({ index, hashed, bytes }) => {
      const source = this.#sourceOf(files[index]!, 0)
      const blake3 = Buffer.from(hashed.blake3, 'hex')
      return { bytes: bytes!, blake3, ...(source ? { source } : {}) }
    })
    const blobs = await writer.addBlocks(blocks, done)
    for (const [i, { index, hashed }] of read.entries()) {
      this.#note(hashed.blake3, blobs[i]!, true)
      results[index] = { path: files[index]!.path, ...hashed }
    }
  }

  #note(blake3: string, blob: StoredBlob, counted: boolean): void {
    if (counted && blob.newBytes > 0) {
      this.storedFiles++
      this.storedBytes += blob.newBytes
    }
    this.#blobs.add(blake3, blob)
  }

  /** Images lie in a cache that may be deleted, and what is small is copied anyway. */
  #sourceOf({ path, absolute, size, state }: SourceFile, offset: number): BlockSource | null {
    if (!this.#options.inPlace || size < OUTSIDE_BYTES) return null
    return path.startsWith(`${IMAGES_FOLDER}/`) ? null : { path: absolute, state, offset }
  }

  async #open(signal?: AbortSignal): Promise<BlobWriter> {
    const { home, key, core, digests, since, restore, proof } = this.#options
    this.#index ??= await BlockIndex.open(home, key, core, digests, signal)
    this.#writer ??= new BlobWriter(
      core,
      this.#index,
      digests,
      since,
      undefined,
      restore,
      indexes => proof.damaged(indexes),
    )
    return this.#writer
  }
}
