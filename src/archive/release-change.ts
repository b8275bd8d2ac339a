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
import { type OwnText, type Wanted, wantedOf, wantedText } from './wanted-entries.ts'

/** What must change for the head of a drive to hold a release. Made without a copy of what may be a million entries. */
export interface ReleaseChange {
  /** Entries of the index to write, sorted by path; empty folders among them stand in the index alone. */
  readonly entries: readonly IndexEntry[]
  /** Manifest and segments to write, sorted by path. */
  readonly texts: readonly OwnText[]
  /** Paths to delete, sorted. */
  readonly remove: readonly string[]
  /** Blobs that a publish which was cut off stored, and whose entries stay as they are. */
  readonly kept: readonly DriveBlob[]
  /** Blobs of contents to write that entries of the head have, by BLAKE3. */
  readonly stored: ReadonlyMap<string, DriveBlob>
}

const LOOKUPS_AT_ONCE = 32

/**
 * Compares the head of a drive with a prepared bundle: by the index of the newest release, of which only segments that
 * changed are read, and by what was written after it, which a publish that was cut off left there. `readBlock` gives a
 * segment by its BLAKE3 alone, where it can: that is many times faster than to look it up in the tree. `holds` tells
 * whether the bytes of a blob that was left are really here: a power cut may have taken them.
 */
export async function planChange(
  drive: Hyperdrive,
  newest: ReleaseRecord | null,
  prepared: PreparedBundle,
  patience: Patience,
  readBlock: (blake3: string) => Promise<Buffer | null>,
  holds: (blob: DriveBlob) => Promise<boolean>,
): Promise<ReleaseChange> {
  const released = new DriveView(drive, newest?.driveVersion ?? 1, patience)
  try {
    const left = await leftovers(drive, newest, patience, holds)
    const old = newest ? await indexRootOf(released, newest) : null
    const readOld = async (hash: string) => {
      const known = await readBlock(hash)
      return (
        (known ?? (await released.read(segmentPath(hash), MAX_SEGMENT_BYTES)))?.toString() ?? null
      )
    }
    const diff = await diffIndex(old, readOld, prepared)
    const remove = new Set<string>(diff.removed.keys())
    for (const entry of diff.added) if (entry.type !== 'folder') remove.delete(entry.path)
    const texts = new Map<string, OwnText>()
    for (const text of ownTexts(prepared, diff.segments)) texts.set(text.path, text)
    const { entries, kept } = applyLeftovers(left, prepared, diff.added, texts, remove)
    return {
      entries,
      texts: [...texts.values()].sort(byPath),
      remove: [...remove].sort(comparePaths),
      kept,
      stored: await blobsOf(released, diff.removed, left, entries),
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

/** The state of each path that was written after the newest release; null where it was deleted. What lost its bytes has no blob. */
async function leftovers(
  drive: Hyperdrive,
  newest: ReleaseRecord | null,
  patience: Patience,
  holds: (blob: DriveBlob) => Promise<boolean>,
): Promise<Map<string, DriveEntry | null>> {
  const left = new Map<string, DriveEntry | null>()
  const from = newest ? newest.driveVersion + 1 : 1
  if (drive.version <= from) return left
  const view = new DriveView(drive, drive.version, patience)
  try {
    for await (const { path, entry } of view.changes(from)) left.set(path, entry)
    for (const [path, entry] of left)
      if (entry?.blob && !(await holds(entry.blob))) left.set(path, { ...entry, blob: null })
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

/** Brings what a publish that was cut off left in the head to what is wanted there. */
function applyLeftovers(
  left: ReadonlyMap<string, DriveEntry | null>,
  prepared: PreparedBundle,
  added: readonly IndexEntry[],
  texts: Map<string, OwnText>,
  remove: Set<string>,
): { entries: readonly IndexEntry[]; kept: readonly DriveBlob[] } {
  if (left.size === 0) return { entries: inOrder(added), kept: [] }
  const entries = new Map(added.map(entry => [entry.path, entry]))
  const kept: DriveBlob[] = []
  for (const [path, found] of left) {
    const text = textAt(prepared, path)
    const entry = entryAt(prepared, path)
    const wanted = text ? wantedText(text) : entry ? wantedOf(entry) : null
    remove.delete(path)
    if (!wanted) {
      if (found) remove.add(path)
    } else if (!found || !equals(wanted, found)) {
      if (text) texts.set(path, text)
      else if (entry) entries.set(path, entry)
    } else {
      texts.delete(path)
      entries.delete(path)
      if (found.blob) kept.push(found.blob)
    }
  }
  return { entries: inOrder([...entries.values()]), kept }
}

const byPath = (a: { readonly path: string }, b: { readonly path: string }) =>
  comparePaths(a.path, b.path)

/** The entries of a whole index are in order already. */
function inOrder(entries: readonly IndexEntry[]): readonly IndexEntry[] {
  const sorted = entries.every((entry, i) => i === 0 || byPath(entries[i - 1]!, entry) < 0)
  return sorted ? entries : [...entries].sort(byPath)
}

/** Manifest and segments of a release. */
export function* ownTexts(
  prepared: PreparedBundle,
  segments: Iterable<string>,
): Generator<OwnText> {
  yield { path: MANIFEST_PATH, blake3: null, text: prepared.manifestText }
  for (const hash of segments)
    yield { path: segmentPath(hash), blake3: hash, text: prepared.segments.get(hash)! }
}

function textAt(prepared: PreparedBundle, path: string): OwnText | null {
  if (path === MANIFEST_PATH) return { path, blake3: null, text: prepared.manifestText }
  const blake3 = path.slice(INDEX_FOLDER.length + 1, -'.jsonl'.length)
  const text = prepared.segments.get(blake3)
  return text === undefined || path !== segmentPath(blake3) ? null : { path, blake3, text }
}

function entryAt({ all }: PreparedBundle, path: string): IndexEntry | null {
  let [low, high] = [0, all.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (comparePaths(all[middle]!.path, path) < 0) low = middle + 1
    else high = middle
  }
  return all[low]?.path === path ? all[low]! : null
}

async function blobsOf(
  view: DriveView,
  removed: ReadonlyMap<string, IndexEntry>,
  left: ReadonlyMap<string, DriveEntry | null>,
  entries: readonly IndexEntry[],
): Promise<Map<string, DriveBlob>> {
  const stored = new Map<string, DriveBlob>()
  if (removed.size === 0 && left.size === 0) return stored
  const needed = new Set<string>()
  for (const entry of entries) if (entry.type === 'file') needed.add(entry.blake3)
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
