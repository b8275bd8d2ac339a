import type Hypercore from 'hypercore'
import type { DriveBlob } from 'hyperdrive'
import type { FileEntry, WorkRecord } from '../../schemas/index.ts'
import { parallel } from '../system/parallel.ts'
import type { DriveView } from './drive-view.ts'

type BlobOf = (view: DriveView, file: FileEntry) => Promise<{ readonly blob: DriveBlob }>

interface BlockRange {
  readonly start: number
  end: number
  bytes: number
}

const LOOKUPS_AT_ONCE = 32
const PROGRESS_MS = 200

/**
 * Brings the blocks of `files` here, only those that are missing, as contiguous ranges.
 * Yields `progress` records, the last with everything there, and none where nothing is missing. Throws NO_PEER, PEER_DISHONEST, INTERRUPTED, HASH_MISMATCH.
 */
export async function* fetchBlobs(
  view: DriveView,
  files: readonly FileEntry[],
  peers: () => number,
  blobOf: BlobOf,
): AsyncGenerator<WorkRecord> {
  const totalBytes = files.reduce((sum, file) => sum + file.size, 0)
  if (files.length === 0) return
  const blobs: DriveBlob[] = []
  let missing = 0
  const core = await view.blobs()
  for await (const { blob } of parallel(files, LOOKUPS_AT_ONCE, file => blobOf(view, file))) {
    if (blob.byteLength > 0) blobs.push(blob)
  }
  const ranges = await missingRanges(core, mergeRanges(blobs), bytes => {
    missing += bytes
  })
  let received = 0
  const onDownload = (_index: number, bytes: number) => {
    received += bytes
  }
  const record = (): WorkRecord => ({
    action: 'progress',
    subject: 'fetch',
    bytes: Math.max(0, Math.min(totalBytes, totalBytes - missing + received)),
    totalBytes,
    totalFiles: files.length,
    peers: peers(),
  })
  // What is all here is no work, and nothing to tell.
  if (ranges.length === 0 && !blobs.some(blob => blob.blockMap)) return
  yield record()
  if (ranges.length > 0) {
    if (view.patience.offline) await view.patience.wait(Promise.reject(notHere()))
    core.on('download', onDownload)
    try {
      yield* download(core, ranges, view, record)
    } finally {
      core.off('download', onDownload)
    }
  }
  for (const blob of blobs) {
    // A block map names blocks elsewhere in the core: reading it through brings them here.
    if (blob.blockMap) for await (const _ of view.stream(blob, Number.MAX_SAFE_INTEGER));
  }
  yield { ...record(), bytes: totalBytes, files: files.length }
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

function mergeRanges(blobs: readonly DriveBlob[]): BlockRange[] {
  const sorted = [...blobs].sort((a, b) => a.blockOffset - b.blockOffset)
  const merged: BlockRange[] = []
  for (const { blockOffset: start, blockLength, byteLength: bytes } of sorted) {
    const last = merged.at(-1)
    const end = start + blockLength
    if (last && start < last.end) last.end = Math.max(last.end, end)
    else if (last && start === last.end) {
      last.end = end
      last.bytes += bytes
    } else merged.push({ start, end, bytes })
  }
  return merged
}

/** The parts of `ranges` that are not here; `onMissing` is told about how many bytes they have. */
async function missingRanges(
  core: Hypercore,
  ranges: readonly BlockRange[],
  onMissing: (bytes: number) => void,
): Promise<BlockRange[]> {
  const missing: BlockRange[] = []
  for (const range of ranges) {
    if (await core.has(range.start, range.end)) continue
    const perBlock = range.bytes / (range.end - range.start)
    let count = 0
    for (let index = range.start; index < range.end; index++) {
      if (await core.has(index)) continue
      count++
      const last = missing.at(-1)
      if (last && last.end === index) last.end++
      else missing.push({ start: index, end: index + 1, bytes: 0 })
    }
    onMissing(Math.round(perBlock * count))
  }
  return missing
}

function notHere(): Error {
  return Object.assign(new Error('blocks are missing'), { code: 'BLOCK_NOT_AVAILABLE' })
}
