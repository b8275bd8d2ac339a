import { type Dirent, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { FileEntry, SegmentLine } from '../../schemas/index.ts'
import { blake3Backend, blake3Digest } from '../system/blake3.ts'
import { indexParts } from './content-index.ts'
import { INDEX_FOLDER } from './drive-paths.ts'
import { type FolderRelease, readFolderSegment } from './folder-release.ts'
import { createPartCheck, FILES, KIB, type PartFound, STOP, takeParts } from './listed-files.mjs'

/** With fewer entries, threads cost more than they save. */
const WORTH_IT = 512
const PART_ENTRIES = 512
const MOST_THREADS = 8
/** After so long whatever else waits has its turn. */
const BREATH_MS = 10

/** What a folder was quickly found to hold just as its index lists it, and what is left to be looked at. */
export interface QuickCheck {
  /** Small files that are just as listed. */
  readonly files: number
  readonly bytes: number
  /** Parts of the index in which something is not as it must be, or not plain. */
  readonly parts: readonly SegmentLine[]
  /** Large files, which were not read. */
  readonly large: readonly FileEntry[]
  /** Folders that the equal and the large files lie in, and all above them. */
  readonly folders: ReadonlySet<string>
  /** Everything that lies in the folder, but for what `skip` left out. */
  readonly listing: Listing
}

interface Listing {
  readonly folders: ReadonlySet<string>
  readonly others: number
}

/**
 * Compares the many small files of a folder with its index in all threads, this one among them: each reads segments of
 * the index and hashes what they list. Nothing is called wrong here: what is not plainly right is left over. Null where
 * this is not worth it. Yields files and bytes done so far. Throws as `readIndex`, and when aborted.
 */
export async function* checkQuickly(
  release: FolderRelease,
  skip: (path: string) => boolean,
  signal?: AbortSignal,
): AsyncGenerator<{ files: number; bytes: number }, QuickCheck | null> {
  const { index } = release.manifest
  if (index.entries < WORTH_IT || blake3Backend !== 'native') return null
  const shared = new SharedArrayBuffer(64)
  const words = new Int32Array(shared)
  const segmentFolder = join(release.folder, INDEX_FOLDER)
  const workerData = { folder: release.folder, segmentFolder, shared }
  const threads = Array.from(
    { length: Math.min(availableParallelism(), MOST_THREADS) - 1 },
    () => new Thread(workerData),
  )
  try {
    const parts = await indexParts(
      index,
      hash => readFolderSegment(release.folder, hash),
      PART_ENTRIES,
    )
    if (!parts) return null
    for (const thread of threads) thread.start(parts)
    const listing = listTree(release.folder, skip)
    const check = createPartCheck(blake3Digest, release.folder, segmentFolder, words)
    const found = new Map<number, PartFound | null>()
    let breathed = performance.now()
    for (const [at, one] of takeParts(parts, words, check)) {
      found.set(at, one)
      if (performance.now() - breathed < BREATH_MS) continue
      await setImmediate()
      signal?.throwIfAborted()
      yield { files: words[FILES]!, bytes: words[KIB]! * 1024 }
      breathed = performance.now()
    }
    for (const thread of threads)
      for (const [at, one] of await thread.found(signal)) found.set(at, one)
    return sum(parts, found, listing)
  } finally {
    Atomics.store(words, STOP, 1)
    await Promise.all(threads.map(thread => thread.close()))
  }
}

type Found = readonly (readonly [number, PartFound | null])[]

/** A thread that takes parts; one that fails has found nothing. */
class Thread {
  readonly #worker: Worker
  readonly #found: Promise<Found>

  constructor(workerData: object) {
    this.#worker = new Worker(new URL('./listed-files-worker.mjs', import.meta.url), { workerData })
    this.#found = new Promise(resolve => {
      this.#worker.once('message', resolve)
      this.#worker.once('error', () => resolve([]))
      this.#worker.once('exit', () => resolve([]))
    })
  }

  start(parts: readonly SegmentLine[]): void {
    this.#worker.postMessage({ parts })
  }

  async found(signal?: AbortSignal): Promise<Found> {
    if (!signal) return await this.#found
    signal.throwIfAborted()
    let stop = () => undefined as undefined
    const aborted = new Promise<never>((_, reject) => {
      stop = () => void reject(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
    })
    try {
      return await Promise.race([this.#found, aborted])
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}

function sum(
  parts: readonly SegmentLine[],
  found: ReadonlyMap<number, PartFound | null>,
  listing: Listing,
): QuickCheck {
  const left: SegmentLine[] = []
  const large: FileEntry[] = []
  const folders = new Set(['.repro'])
  const total = { files: 0, bytes: 0 }
  for (const [i, part] of parts.entries()) {
    const one = found.get(i)
    // A link in the place of a folder is followed by those who only open files: it is no folder of the listing.
    if (!one?.folders.every(folder => listing.folders.has(folder))) {
      left.push(part)
      continue
    }
    total.files += one.files - one.large.length
    total.bytes += one.large.reduce((rest, file) => rest - file.size, one.bytes)
    large.push(...one.large)
    for (const folder of one.folders) addAbove(folder, folders)
  }
  return { ...total, parts: left, large, folders, listing }
}

/** Adds a folder and all above it. */
function addAbove(path: string, folders: Set<string>): void {
  for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
    const folder = path.slice(0, end)
    if (folders.has(folder)) return
    folders.add(folder)
  }
}

/** The folders of a tree, none through a link, and how much else lies in them. */
function listTree(root: string, skip: (path: string) => boolean): Listing {
  const folders = new Set<string>()
  const open = ['']
  let others = 0
  for (let above = open.pop(); above !== undefined; above = open.pop()) {
    for (const item of list(join(root, above))) {
      if (!item.isDirectory() && above !== '.repro/') {
        others++
        continue
      }
      const path = `${above}${item.name}`
      if (skip(path)) continue
      if (!item.isDirectory()) others++
      else {
        folders.add(path)
        open.push(`${path}/`)
      }
    }
  }
  return { folders, others }
}

function list(path: string): readonly Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw error
  }
}
