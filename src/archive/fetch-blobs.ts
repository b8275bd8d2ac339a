import type Hypercore from 'hypercore'
import type { DriveBlob } from 'hyperdrive'
import type { FileEntry, WorkRecord } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import { MAX_MAP_BLOCKS, malformed } from './block-map.ts'
import { type BlockRange, isIn, mergeRanges, missingRanges } from './block-ranges.ts'
import type { DriveView } from './drive-view.ts'

/** Looks many files up, in any order. */
type BlobsOf = (
  view: DriveView,
  files: readonly FileEntry[],
) => AsyncIterable<{ readonly file: FileEntry; readonly entry: { readonly blob: DriveBlob } }>

const PROGRESS_MS = 200
/** A peer may be asked twice for a block; more than that of what a file has is no honest writer's. */
const SLACK_BYTES = 16 << 20
/** Files with block maps that are fetched at once: one whose map does not come holds up no others. */
const MAPPED_AT_ONCE = 32

/**
 * Brings the blocks of `files` here, only those that are missing, as contiguous ranges. The view must end its waits when
 * this ends early. Yields `progress` records, of the bytes of the files, the last with everything there, and none where
 * nothing is missing. Throws NO_PEER, PEER_DISHONEST, INTERRUPTED, HASH_MISMATCH, DISK_FULL, WRITE_FAILED.
 */
export async function* fetchBlobs(
  view: DriveView,
  files: readonly FileEntry[],
  peers: () => number,
  blobsOf: BlobsOf,
): AsyncGenerator<WorkRecord> {
  if (files.length === 0) return
  const fetch = new Fetch(
    view,
    await view.blobs(),
    files.reduce((sum, file) => sum + file.size, 0),
  )
  const record = (): WorkRecord => ({
    action: 'progress',
    subject: 'fetch',
    bytes: fetch.bytesHere,
    totalBytes: fetch.totalBytes,
    totalFiles: files.length,
    peers: peers(),
  })
  let finished = false
  const done = fetch.bringAll(blobsOf(view, files)).finally(() => {
    finished = true
  })
  done.catch(() => undefined)
  try {
    while (!finished) {
      let timer: NodeJS.Timeout | undefined
      const tick = new Promise<void>(resolve => {
        timer = setTimeout(resolve, PROGRESS_MS)
      })
      await Promise.race([done, tick]).finally(() => clearTimeout(timer))
      fetch.checkBounds()
      if (fetch.begun) yield record()
    }
    await done
  } finally {
    fetch.stop()
  }
  if (fetch.begun) yield { ...record(), files: files.length }
}

/** Some contents whose blocks are being brought here. */
interface Part {
  /** Bytes of files that lie in blocks which were missing: more than these have, where files share them. */
  readonly wanted: number
  /** Bytes of the blocks that were missing. */
  readonly missing: number
  readonly ranges: readonly BlockRange[]
  received: number
}

class Fetch {
  readonly totalBytes: number
  /** Whether anything was missing. */
  begun = false
  readonly #view: DriveView
  readonly #core: Hypercore
  readonly #parts = new Set<Part>()
  readonly #downloads = new Set<{ destroy(): void }>()
  /** Bytes of files of which it was not seen yet whether they are here. */
  #unseen: number
  #allowed = SLACK_BYTES
  #received = 0
  #stopped = false

  constructor(view: DriveView, core: Hypercore, totalBytes: number) {
    this.#view = view
    this.#core = core
    this.totalBytes = totalBytes
    this.#unseen = totalBytes
    core.on('download', this.#onDownload)
  }

  get bytesHere(): number {
    let here = this.totalBytes - this.#unseen
    for (const { wanted, missing, received } of this.#parts)
      here -= wanted * (1 - Math.min(1, received / missing))
    return Math.max(0, Math.min(this.totalBytes, Math.round(here)))
  }

  async bringAll(blobs: ReturnType<BlobsOf>): Promise<void> {
    const plain: BlockRange[] = []
    const mapped: { readonly blob: DriveBlob; readonly size: number }[] = []
    for await (const { file, entry } of blobs) {
      const { blob } = entry
      if (blob.blockMap) mapped.push({ blob, size: file.size })
      else if (blob.byteLength > 0)
        plain.push({
          start: blob.blockOffset,
          end: blob.blockOffset + blob.blockLength,
          bytes: blob.byteLength,
        })
    }
    await Promise.all([this.#bring(plain), this.#bringMapped(mapped)])
  }

  /** Throws HASH_MISMATCH when more came than the files can have. */
  checkBounds(): void {
    if (this.#received <= this.#allowed) return
    fail(
      'HASH_MISMATCH',
      `the files have more bytes than the index says: over ${this.#allowed} came`,
      {
        hints: ['the release contradicts itself: whoever published it used no honest tool'],
      },
    )
  }

  stop(): void {
    this.#stopped = true
    this.#core.off('download', this.#onDownload)
    for (const one of this.#downloads) one.destroy()
  }

  readonly #onDownload = (index: number, bytes: number): void => {
    let asked = false
    for (const part of this.#parts) {
      if (!isIn(part.ranges, index)) continue
      part.received += bytes
      asked = true
    }
    if (asked) this.#received += bytes
  }

  /** Several files at once, as long as their maps together are no larger than one may be: maps of strangers are large. */
  async #bringMapped(
    files: readonly { readonly blob: DriveBlob; readonly size: number }[],
  ): Promise<void> {
    const running = new Set<Promise<void>>()
    let mapBlocks = 0
    for (const { blob, size } of files) {
      while (
        running.size >= MAPPED_AT_ONCE ||
        (running.size > 0 && mapBlocks + blob.blockLength > MAX_MAP_BLOCKS)
      )
        await Promise.race(running)
      mapBlocks += blob.blockLength
      const one = this.#bringOne(blob, size).finally(() => {
        mapBlocks -= blob.blockLength
        running.delete(one)
      })
      one.catch(() => undefined)
      running.add(one)
    }
    await Promise.all(running)
  }

  /** A block map names blocks elsewhere in the core. */
  async #bringOne(blob: DriveBlob, size: number): Promise<void> {
    const blocks = await this.#view.blockMap(blob, size)
    const bytes = blocks.reduce((sum, block) => sum + block.byteLength, 0)
    if (bytes !== size) malformed(`names ${bytes} bytes, the index says ${size}`)
    await this.#bring(
      blocks.map(({ index, byteLength }) => ({ start: index, end: index + 1, bytes: byteLength })),
    )
  }

  async #bring(all: readonly BlockRange[]): Promise<void> {
    const { patience } = this.#view
    const merged = mergeRanges(all)
    const bytes = bytesOf(all)
    let missing = 0
    const ranges = await missingRanges(this.#core, merged, patience, count => {
      missing += count
    })
    this.#unseen -= bytes
    if (ranges.length === 0 || this.#stopped) return
    if (patience.offline) await patience.wait(Promise.reject(notHere()))
    const wanted = (bytes * missing) / Math.max(1, bytesOf(merged))
    const part: Part = { wanted, missing: Math.max(1, missing), ranges, received: 0 }
    this.begun = true
    this.#allowed += 2 * bytes
    this.#parts.add(part)
    await this.#download(ranges)
    this.#parts.delete(part)
  }

  async #download(ranges: readonly BlockRange[]): Promise<void> {
    const downloads = ranges.map(({ start, end }) => this.#core.download({ start, end }))
    for (const one of downloads) this.#downloads.add(one)
    try {
      await this.#view.patience.wait(Promise.all(downloads.map(one => one.done())))
    } finally {
      for (const one of downloads) {
        one.destroy()
        this.#downloads.delete(one)
      }
    }
  }
}

function bytesOf(ranges: readonly BlockRange[]): number {
  return ranges.reduce((sum, range) => sum + range.bytes, 0)
}

function notHere(): Error {
  return Object.assign(new Error('blocks are missing'), { code: 'BLOCK_NOT_AVAILABLE' })
}
