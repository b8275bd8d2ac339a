import type Hypercore from 'hypercore'
import type { DriveBlob } from 'hyperdrive'
import { fail } from '../core/errors.ts'
import { blake3Digest } from '../system/blake3.ts'
import { AVERAGE_BLOCK } from '../system/cutter.mjs'
import { BlockAppender, type ReadBlock } from './block-appender.ts'
import type { FoundBlock } from './block-files/restore.ts'
import type { BlockIndex, DigestsOf } from './block-index.ts'
import { encodeBlockMap, MAX_MAPPED_BLOCKS } from './block-map.ts'
import { OpenBlob } from './open-blob.ts'

/** Gives the numbers of the blocks that were lost and are restored. */
export type RestoreBlocks = (found: readonly FoundBlock[]) => Promise<readonly number[]>

/** Of these blocks, those whose bytes are not what the store says; it may trust some unread. */
type FindDamaged = (indexes: readonly number[]) => Promise<readonly number[]>

/** A blob of the core. `byteOffset` is -1 where it is not known yet: only a blob that gets an entry needs it. */
export interface StoredBlob extends DriveBlob {
  /** Bytes that were appended for it. */
  readonly newBytes: number
  /** Ranges of blocks that it is made of and that lie behind its session's start, besides its own: [start, end, start, end …]. */
  readonly mapped: readonly number[]
}

/**
 * Stores contents in the core of a drive's bytes, each block once: what the index finds, and the store confirms, is not
 * appended again. A content whose blocks lie in one run is a plain blob; else it gets a block map. One per core at a time.
 */
export class BlobWriter {
  readonly #core: Hypercore
  readonly #index: Pick<BlockIndex, 'table'>
  readonly #digests: DigestsOf
  readonly #appender: BlockAppender
  /** Blocks from here on are new since the last release. */
  readonly #since: number
  readonly #maxMapped: number
  readonly #restore: RestoreBlocks
  readonly #damaged: FindDamaged

  /** `maxMapped`: a content of more blocks gets no map and is one run. Less than what readers take, for tests. */
  constructor(
    core: Hypercore,
    index: Pick<BlockIndex, 'table'>,
    digests: DigestsOf,
    since: number,
    maxMapped = MAX_MAPPED_BLOCKS,
    restore: RestoreBlocks = async () => [],
    damaged: FindDamaged = async () => [],
  ) {
    this.#restore = restore
    this.#damaged = damaged
    this.#core = core
    this.#index = index
    this.#digests = digests
    this.#since = since
    this.#maxMapped = maxMapped
    this.#appender = new BlockAppender(core, index.table)
  }

  /** Number of blocks, those counted in that are not written yet. */
  get length(): number {
    return this.#appender.length
  }

  /** Contents of one block each. `done` is called when their bytes are needed no more. */
  async addBlocks(
    contents: readonly ReadBlock[],
    done: () => void = () => {},
  ): Promise<StoredBlob[]> {
    const known = await this.#confirm(contents)
    const blobs = contents.map((content): StoredBlob => {
      const byteLength = content.bytes.length
      if (byteLength === 0) return this.#empty()
      const found = this.#find(content.blake3, known)
      const byteOffset = found === null ? this.#appender.byteLength : -1
      const blockOffset = found ?? this.#appender.push(content)
      const newBytes = found === null ? byteLength : 0
      return { blockOffset, blockLength: 1, byteOffset, byteLength, newBytes, mapped: [] }
    })
    await this.#appender.settle(done)
    return blobs
  }

  /** Begins a content of many blocks, and of about so many bytes. */
  begin(size = 0): OpenBlob {
    return new OpenBlob(this.#since, size <= this.#maxMapped * AVERAGE_BLOCK)
  }

  /** The next blocks of a content. */
  async extend(blob: OpenBlob, blocks: readonly ReadBlock[], done: () => void): Promise<void> {
    const known = await this.#confirm(blocks)
    for (const block of blocks) {
      const { length } = block.bytes
      const { next } = blob
      const found = this.#find(block.blake3, known, next)
      if (blob.mapped && blob.count === this.#maxMapped) {
        if (blob.isRun) blob.mapped = false
        else await this.#rewrite(blob)
      }
      if (found !== null && (blob.mapped || blob.next === null || found === blob.next)) {
        blob.add(found, length, 0)
        continue
      }
      if (!blob.mapped && blob.next !== null && blob.next !== this.length) await this.#rewrite(blob)
      if (blob.next === null) blob.byteOffset = this.#appender.byteLength
      blob.add(this.#appender.push(block), length, length)
    }
    await this.#appender.settle(done)
  }

  /** The blob of a content that is whole. */
  async finish(blob: OpenBlob): Promise<StoredBlob> {
    if (blob.first === null) return this.#empty()
    if (blob.isRun)
      return {
        blockOffset: blob.first,
        blockLength: blob.count,
        byteOffset: blob.byteOffset,
        byteLength: blob.bytes,
        newBytes: blob.newBytes,
        mapped: [],
      }
    const parts = encodeBlockMap(blob.blocks()).map(bytes => ({
      bytes,
      blake3: blake3Digest(bytes),
    }))
    const map = this.begin()
    const known = await this.#confirm(parts)
    const found = parts.map(part => this.#find(part.blake3, known))
    const again = found.every((index, i) => index !== null && index === found[0]! + i)
    // A map may only name blocks before it: other bytes may look like this map.
    if (again && blob.last < found[0]!)
      for (const [i, index] of found.entries()) map.add(index!, parts[i]!.bytes.length, 0)
    else {
      map.byteOffset = this.#appender.byteLength
      for (const part of parts)
        map.add(this.#appender.push(part), part.bytes.length, part.bytes.length)
    }
    await this.#appender.settle(() => {})
    return {
      blockOffset: map.first!,
      blockLength: map.count,
      byteOffset: map.byteOffset,
      byteLength: map.bytes,
      newBytes: blob.newBytes + map.newBytes,
      mapped: blob.ranges(),
      blockMap: true,
    }
  }

  /** Waits until all blocks are in the core. */
  async flush(): Promise<void> {
    await this.#appender.flush()
  }

  #empty(): StoredBlob {
    const { length: blockOffset, byteLength: byteOffset } = this.#appender
    return { blockOffset, blockLength: 0, byteOffset, byteLength: 0, newBytes: 0, mapped: [] }
  }

  /** The digests of all written blocks that may be among `blocks`, from the store itself. */
  async #confirm(blocks: readonly ReadBlock[]): Promise<Map<number, Buffer | null>> {
    const asked = new Set<number>()
    for (const { blake3 } of blocks)
      for (const index of this.#index.table.find(blake3))
        if (this.#appender.pending(index) === null) asked.add(index)
    if (asked.size === 0) return new Map()
    const indexes = [...asked].sort((a, b) => a - b)
    const digests = await this.#digests(indexes)
    const known = new Map(indexes.map((index, i) => [index, digests[i] ?? null]))
    const digest = new Set(blocks.map(({ blake3 }) => blake3.toString('latin1')))
    const hits = indexes.filter(index => digest.has(known.get(index)?.toString('latin1') ?? ''))
    for (const index of await this.#damaged(hits)) known.set(index, null)
    await this.#restoreLost(blocks, known)
    return known
  }

  /** Gives blocks that lost their bytes, on a disk that damaged them or in a file of the author's, those read now. */
  async #restoreLost(
    blocks: readonly ReadBlock[],
    known: Map<number, Buffer | null>,
  ): Promise<void> {
    const lost = new Map<number, FoundBlock>()
    for (const { bytes, blake3, source } of blocks)
      for (const index of this.#index.table.find(blake3))
        if (known.get(index) === null) lost.set(index, { index, bytes, blake3, source })
    if (lost.size === 0) return
    for (const index of await this.#restore([...lost.values()]))
      known.set(index, lost.get(index)!.blake3)
  }

  /** A block with this digest that is really there; `wish` if that is one. */
  #find(
    digest: Buffer,
    known: ReadonlyMap<number, Buffer | null>,
    wish: number | null = null,
  ): number | null {
    let found: number | null = null
    for (const index of this.#index.table.find(digest)) {
      const there = this.#appender.pending(index) ?? known.get(index)
      if (!there?.equals(digest)) continue
      if (index === wish) return index
      found ??= index
    }
    return found
  }

  /** Stores the blocks of a content once more, in one run that ends at the end of the core: it cannot have a map. */
  async #rewrite(blob: OpenBlob): Promise<void> {
    await this.flush()
    const old = blob.startAgain(this.#appender.byteLength)
    for (const { index } of old) {
      const bytes = await this.#core.get(index, { wait: false })
      if (!bytes) fail('STORE_INVALID', `block ${index} of the store went away while it was used`)
      blob.add(
        this.#appender.push({ bytes, blake3: blake3Digest(bytes) }),
        bytes.length,
        bytes.length,
      )
      await this.#appender.settle(() => {})
    }
  }
}
