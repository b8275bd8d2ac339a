import type Hypercore from 'hypercore'
import type Hyperdrive from 'hyperdrive'
import type { DriveBlob } from 'hyperdrive'
import { comparePaths } from '../core/archive-path.ts'
import { RELEASES_FOLDER } from './drive-paths.ts'
import { type DriveEntry, DriveView } from './drive-view.ts'
import type { Patience } from './patience.ts'
import type { Wanted } from './wanted-entries.ts'

/** What must change for the head of a drive to hold a release. */
export interface HeadPlan {
  readonly put: readonly Wanted[]
  readonly remove: readonly string[]
  /** Where content that `put` needs lies already, by BLAKE3. */
  readonly stored: Map<string, DriveBlob>
  /** First block of the bytes' core that no entry, now or earlier, points at. */
  readonly referencedEnd: number
}

/**
 * Compares the head with what is wanted, leftovers of a killed publish included. Content is looked for in the head
 * first, and in the whole history when that may hold more.
 */
export async function planHead(
  drive: Hyperdrive,
  blobs: Hypercore,
  wanted: readonly Wanted[],
  patience: Patience,
): Promise<HeadPlan> {
  const hashes = new Set(wanted.map(one => one.content?.blake3))
  const stored = new Map<string, DriveBlob>()
  const put: Wanted[] = []
  const remove: string[] = []
  let referencedEnd = 0
  let entries = 0
  const note = (entry: Pick<DriveEntry, 'blob' | 'blake3'>) => {
    if (!entry.blob) return
    referencedEnd = Math.max(referencedEnd, entry.blob.blockOffset + entry.blob.blockLength)
    if (entry.blake3 && hashes.has(entry.blake3) && !stored.has(entry.blake3))
      stored.set(entry.blake3, entry.blob)
  }
  const length = drive.version
  const view = new DriveView(drive, length, patience)
  try {
    let next = 0
    for await (const entry of length < 2 ? [] : view.list('')) {
      entries++
      note(entry)
      if (entry.path.startsWith(`${RELEASES_FOLDER}/`)) continue
      while (next < wanted.length && comparePaths(wanted[next]!.path, entry.path) < 0)
        put.push(wanted[next++]!)
      const same = next < wanted.length && wanted[next]!.path === entry.path
      if (!same) remove.push(entry.path)
      else if (!equals(wanted[next]!, entry)) put.push(wanted[next]!)
      if (same) next++
    }
    put.push(...wanted.slice(next))
    const unknown = put.some(one => one.content && !stored.has(one.content.blake3))
    const hasMore = length - 1 > entries
    if (hasMore && (unknown || referencedEnd < blobs.length)) {
      for await (const entry of view.history(1)) note(entry)
    }
  } finally {
    await view.close()
  }
  return { put, remove, stored, referencedEnd }
}

function equals(wanted: Wanted, entry: DriveEntry): boolean {
  if (wanted.linkname !== null) return entry.linkname === wanted.linkname && entry.blob === null
  return (
    entry.linkname === null &&
    entry.executable === wanted.executable &&
    entry.blob !== null &&
    entry.blob.byteLength === wanted.content?.size &&
    entry.blake3 === wanted.content.blake3
  )
}
