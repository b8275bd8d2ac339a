import type Hypercore from 'hypercore'
import type { DriveBlob } from 'hyperdrive'
import type { FileEntry, WorkRecord } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import { malformed } from './block-map.ts'
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

/**
 * Brings the blocks of `files` here, only those that are missing, as contiguous ranges.
 * Yields `progress` records, the last with everything there, and none where nothing is missing. Throws NO_PEER, PEER_DISHONEST, INTERRUPTED, HASH_MISMATCH.
 */
export async function* fetchBlobs(
  view: DriveView,
  files: readonly FileEntry[],
  peers: () => number,
  blobsOf: BlobsOf,
): AsyncGenerator<WorkRecord> {
  const totalBytes = files.reduce((sum, file) => sum + file.size, 0)
  if (files.length === 0) return
  const plain: BlockRange[] = []
  const mapped: { readonly blob: DriveBlob; readonly size: number }[] = []
  let missing = 0
  let received = 0
  let told = false
  const core = await view.blobs()
  for await (const { file, entry } of blobsOf(view, files)) {
    const { blob } = entry
    if (blob.blockMap) mapped.push({ blob, size: file.size })
    else if (blob.byteLength > 0)
      plain.push({
        start: blob.blockOffset,
        end: blob.blockOffset + blob.blockLength,
        bytes: blob.byteLength,
      })
  }
  const record = (): WorkRecord => ({
    action: 'progress',
    subject: 'fetch',
    bytes: Math.max(0, Math.min(totalBytes, totalBytes - missing + received)),
    totalBytes,
    totalFiles: files.length,
    peers: peers(),
  })
  async function* bring(all: readonly BlockRange[]): AsyncGenerator<WorkRecord> {
    const ranges = await missingRanges(core, all, view.patience, bytes => {
      missing += bytes
    })
    // What is all here is no work, and nothing to tell.
    if (ranges.length === 0) return
    told = true
    yield record()
    if (view.patience.offline) await view.patience.wait(Promise.reject(notHere()))
    const before = received
    const allowed = 2 * all.reduce((sum, range) => sum + range.bytes, 0) + SLACK_BYTES
    const onDownload = (index: number, bytes: number) => {
      if (isIn(ranges, index)) received += bytes
    }
    core.on('download', onDownload)
    try {
      for await (const step of download(core, ranges, view, record)) {
        if (received - before > allowed) tooLong(allowed)
        yield step
      }
    } finally {
      core.off('download', onDownload)
    }
  }
  yield* bring(mergeRanges(plain))
  // A block map names blocks elsewhere in the core. One file at a time: maps of strangers are large.
  for (const { blob, size } of mapped) {
    const blocks = await view.blockMap(blob, size)
    const bytes = blocks.reduce((sum, block) => sum + block.byteLength, 0)
    if (bytes !== size) malformed(`names ${bytes} bytes, the index says ${size}`)
    const ranges = blocks.map(block => ({
      start: block.index,
      end: block.index + 1,
      bytes: block.byteLength,
    }))
    yield* bring(mergeRanges(ranges))
  }
  if (told) yield { ...record(), bytes: totalBytes, files: files.length }
}

async function* download(
  core: Hypercore,
  ranges: readonly BlockRange[],
  view: DriveView,
  record: () => WorkRecord,
): AsyncGenerator<WorkRecord> {
  const downloads = ranges.map(({ start, end }) => core.download({ start, end }))
  let finished = false
  const done = view.patience.wait(Promise.all(downloads.map(one => one.done()))).finally(() => {
    finished = true
  })
  done.catch(() => undefined)
  try {
    while (!finished) {
      await Promise.race([done, new Promise(resolve => setTimeout(resolve, PROGRESS_MS))])
      yield record()
    }
    await done
  } finally {
    for (const one of downloads) one.destroy()
  }
}

function tooLong(allowed: number): never {
  fail('HASH_MISMATCH', `the files have more bytes than the index says: over ${allowed} came`, {
    hints: ['the release contradicts itself: whoever published it used no honest tool'],
  })
}

function notHere(): Error {
  return Object.assign(new Error('blocks are missing'), { code: 'BLOCK_NOT_AVAILABLE' })
}
