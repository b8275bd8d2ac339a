import type { IndexEntry } from '../../schemas/index.ts'
import type { PreparedBundle } from '../core/prepared-bundle.ts'
import { parallel } from '../system/parallel.ts'
import { readSegment, type SegmentReader } from './content-index.ts'

export interface IndexDiff {
  /** Entries of the old index that are not so in the new one, by path. */
  readonly removed: ReadonlyMap<string, IndexEntry>
  /** Entries of the new index that are not so in the old one. */
  readonly added: readonly IndexEntry[]
  /** Segments of the new index that the old one has not. */
  readonly segments: readonly string[]
}

const READS_AT_ONCE = 16

/** Compares two indexes by their segments: those that both have are not looked into. Throws HASH_MISMATCH, RECORD_INVALID. */
export async function diffIndex(
  oldRoot: string | null,
  readOld: SegmentReader,
  { all, segments, manifest }: Pick<PreparedBundle, 'all' | 'segments' | 'manifest'>,
): Promise<IndexDiff> {
  if (oldRoot === null) return { removed: new Map(), added: all, segments: [...segments.keys()] }
  const removed = new Map<string, IndexEntry>()
  const met = new Set<string>([oldRoot])
  let level = segments.has(oldRoot) ? [] : [oldRoot]
  while (level.length > 0) {
    const below: string[] = []
    for await (const nodes of parallel(level, READS_AT_ONCE, hash => readSegment(hash, readOld)))
      for (const { entry, segment } of nodes) {
        if (entry) removed.set(entry.path, entry)
        if (segment === null) continue
        met.add(segment)
        if (!segments.has(segment)) below.push(segment)
      }
    level = below
  }
  const added: IndexEntry[] = []
  const fresh: string[] = []
  const open = [manifest.index.blake3]
  for (let hash = open.pop(); hash !== undefined; hash = open.pop()) {
    if (met.has(hash)) continue
    fresh.push(hash)
    for (const line of linesOf(segments.get(hash)!)) {
      if ('segment' in line) open.push(line.segment)
      else if (!isSame(removed.get(line.path), line)) added.push(line)
      else removed.delete(line.path)
    }
  }
  return { removed, added, segments: fresh }
}

/** Lines of a segment that this process made. */
function linesOf(text: string): (IndexEntry | { readonly segment: string })[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as IndexEntry | { segment: string })
}

function isSame(old: IndexEntry | undefined, entry: IndexEntry): boolean {
  if (old?.type === 'file' && entry.type === 'file')
    return (
      old.blake3 === entry.blake3 && old.size === entry.size && old.executable === entry.executable
    )
  if (old?.type === 'link' && entry.type === 'link') return old.target === entry.target
  return old?.type === 'folder' && entry.type === 'folder'
}
