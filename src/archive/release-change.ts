import type Hyperdrive from 'hyperdrive'
import type { DriveBlob } from 'hyperdrive'
import type { IndexEntry, ReleaseRecord } from '../../schemas/index.ts'
import { comparePaths } from '../core/archive-path.ts'
import { fail } from '../core/errors.ts'
import type { PreparedBundle } from '../core/prepared-bundle.ts'
import { parallel } from '../system/parallel.ts'
import { INDEX_FOLDER, MANIFEST_PATH, recordPath, segmentPath } from './drive-paths.ts'
import { type DriveEntry, DriveView } from './drive-view.ts'
import { diffIndex } from './index-diff.ts'
import { MAX_MANIFEST_BYTES, MAX_SEGMENT_BYTES } from './limits.ts'
import type { Patience } from './patience.ts'
import { parseManifest } from './release-manifest.ts'
import { type Wanted, wantedOf, wantedText } from './wanted-entries.ts'

/** What must change for the head of a drive to hold a release. */
export interface ReleaseChange {
  /** Entries to write, sorted by path. */
  readonly put: readonly Wanted[]
  /** Paths to delete, sorted. */
  readonly remove: readonly string[]
  /** Blobs that a publish which was cut off stored, and whose entries stay as they are. */
  readonly kept: readonly DriveBlob[]
  /** Blobs of contents that `put` needs and that entries of the head have, by BLAKE3. */
  readonly stored: ReadonlyMap<string, DriveBlob>
}

const LOOKUPS_AT_ONCE = 32

/**
 * Compares the head of a drive with a prepared bundle: by the index of the newest release, of which only segments that
 * changed are read, and by what was written after it, which a publish that was cut off left there. `readBlock` gives a
 * segment by its BLAKE3 alone, where it can: that is many times faster than to look it up in the tree.
 */
export async function planChange(
  drive: Hyperdrive,
  newest: ReleaseRecord | null,
  prepared: PreparedBundle,
  patience: Patience,
  readBlock: (blake3: string) => Promise<Buffer | null>,
): Promise<ReleaseChange> {
  const released = new DriveView(drive, newest?.driveVersion ?? 1, patience)
  try {
    const left = await leftovers(drive, newest, patience)
    const old = newest ? await indexRootOf(released, newest) : null
    const readOld = async (hash: string) => {
      const known = await readBlock(hash)
      return (
        (known ?? (await released.read(segmentPath(hash), MAX_SEGMENT_BYTES)))?.toString() ?? null
      )
    }
    const diff = await diffIndex(old, readOld, prepared)
    const put = new Map<string, Wanted>()
    const remove = new Set<string>()
    for (const path of diff.removed.keys()) remove.add(path)
    for (const entry of diff.added) {
      const wanted = wantedOf(entry)
      if (wanted) put.set(entry.path, wanted)
      if (wanted) remove.delete(entry.path)
    }
    for (const [path, text] of ownTexts(prepared, diff.segments))
      put.set(path, wantedText(path, text))
    const kept: DriveBlob[] = []
    for (const [path, entry] of left) {
      const wanted = put.get(path) ?? wantedAt(prepared, path)
      remove.delete(path)
      put.delete(path)
      if (!wanted) {
        if (entry) remove.add(path)
      } else if (!entry || !equals(wanted, entry)) put.set(path, wanted)
      else if (entry.blob) kept.push(entry.blob)
    }
    const needed = new Set([...put.values()].map(one => one.content?.blake3))
    const stored = await blobsOf(released, diff.removed, left, needed)
    return {
      put: [...put.values()].sort((a, b) => comparePaths(a.path, b.path)),
      remove: [...remove].sort(comparePaths),
      kept,
      stored,
    }
  } finally {
    await released.close()
  }
}

/** First block of the bytes' core behind all that the newest release, or an older one, has: its record was stored last. */
export async function blocksReleased(
  drive: Hyperdrive,
  newest: ReleaseRecord | null,
  patience: Patience,
): Promise<number> {
  if (!newest) return 0
  const view = new DriveView(drive, newest.driveVersion + 1, patience)
  try {
    const blob = (await view.entry(recordPath(newest.release)))?.blob
    return blob ? blob.blockOffset + blob.blockLength : Number.MAX_SAFE_INTEGER
  } finally {
    await view.close()
  }
}

/** The state of each path that was written after the newest release; null where it was deleted. */
async function leftovers(
  drive: Hyperdrive,
  newest: ReleaseRecord | null,
  patience: Patience,
): Promise<Map<string, DriveEntry | null>> {
  const left = new Map<string, DriveEntry | null>()
  const from = newest ? newest.driveVersion + 1 : 1
  if (drive.version <= from) return left
  const view = new DriveView(drive, drive.version, patience)
  try {
    for await (const { path, entry } of view.changes(from)) left.set(path, entry)
    return left
  } finally {
    await view.close()
  }
}

async function indexRootOf(view: DriveView, { contentHash }: ReleaseRecord): Promise<string> {
  const bytes = await view.read(MANIFEST_PATH, MAX_MANIFEST_BYTES)
  if (!bytes) fail('STORE_INVALID', 'the newest release of the bundle has no manifest')
  return parseManifest(bytes, contentHash).index.blake3
}

function ownTexts(prepared: PreparedBundle, segments: readonly string[]): Map<string, string> {
  const texts = new Map([[MANIFEST_PATH, prepared.manifestText]])
  for (const hash of segments) texts.set(segmentPath(hash), prepared.segments.get(hash)!)
  return texts
}

/** What a prepared bundle has at a path, whether it changed or not. */
function wantedAt(prepared: PreparedBundle, path: string): Wanted | null {
  const { all } = prepared
  let [low, high] = [0, all.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (comparePaths(all[middle]!.path, path) < 0) low = middle + 1
    else high = middle
  }
  if (all[low]?.path === path) return wantedOf(all[low]!)
  const text =
    path === MANIFEST_PATH
      ? prepared.manifestText
      : path.startsWith(`${INDEX_FOLDER}/`)
        ? prepared.segments.get(path.slice(INDEX_FOLDER.length + 1, -'.jsonl'.length))
        : undefined
  return text === undefined ? null : wantedText(path, text)
}

async function blobsOf(
  view: DriveView,
  removed: ReadonlyMap<string, IndexEntry>,
  left: ReadonlyMap<string, DriveEntry | null>,
  needed: ReadonlySet<string | undefined>,
): Promise<Map<string, DriveBlob>> {
  const stored = new Map<string, DriveBlob>()
  const note = (entry: DriveEntry | null) => {
    if (entry?.blob && entry.blake3 && needed.has(entry.blake3))
      stored.set(entry.blake3, entry.blob)
  }
  for (const entry of left.values()) note(entry)
  const wanted = [...removed.values()].filter(
    entry => entry.type === 'file' && needed.has(entry.blake3) && !stored.has(entry.blake3),
  )
  for await (const entry of parallel(wanted, LOOKUPS_AT_ONCE, ({ path }) => view.entry(path)))
    note(entry)
  return stored
}

function equals(wanted: Wanted, entry: DriveEntry): boolean {
  if (wanted.linkname !== null) return entry.linkname === wanted.linkname && entry.blob === null
  return (
    entry.linkname === null &&
    entry.executable === wanted.executable &&
    entry.blob !== null &&
    (entry.blob.blockMap === true || entry.blob.byteLength === wanted.content?.size) &&
    entry.blake3 === wanted.content?.blake3
  )
}
