import type { FileEntry, IndexEntry } from '../../schemas/index.ts'
import { comparePaths, isReserved } from '../core/archive-path.ts'
import { fail } from '../core/errors.ts'
import type { PreparedBundle } from '../core/prepared-bundle.ts'
import { blake3 } from '../system/blake3.ts'
import { IMAGES_FOLDER, MANIFEST_PATH, segmentPath } from './drive-paths.ts'

/** A file or link as it must stand in the drive. */
export interface Wanted {
  readonly path: string
  readonly executable: boolean
  readonly linkname: string | null
  /** The bytes, by BLAKE3; null for a link. */
  readonly content: WantedContent | null
}

export interface WantedContent {
  readonly blake3: string
  readonly size: number
  /** Bytes at hand, or where they lie on this host. */
  readonly from: Uint8Array | string
  /** True for what the author has in the bundle, false for repro's own files. */
  readonly counted: boolean
}

/** Everything but the record that the drive of a release holds, in order of the drive. Empty folders are in the index alone. Throws PATH_UNSAFE. */
export function wantedEntries(prepared: PreparedBundle): Wanted[] {
  for (const { path } of prepared.all) {
    if (isReserved(path) && !path.startsWith(`${IMAGES_FOLDER}/`))
      fail('PATH_UNSAFE', `"${path}" belongs to repro itself and cannot be published`, {
        data: { path },
      })
  }
  const wanted: Wanted[] = prepared.all.filter(isStored).map(entry => ({
    path: entry.path,
    executable: entry.type === 'file' && entry.executable === true,
    linkname: entry.type === 'link' ? entry.target : null,
    content: entry.type === 'file' ? contentOf(entry, prepared) : null,
  }))
  const own = new Map([[MANIFEST_PATH, prepared.manifestText]])
  for (const [hash, text] of prepared.segments) own.set(segmentPath(hash), text)
  for (const [path, text] of own) {
    const bytes = Buffer.from(text)
    const content = { blake3: blake3(bytes), size: bytes.length, from: bytes, counted: false }
    wanted.push({ path, executable: false, linkname: null, content })
  }
  return wanted.sort((a, b) => comparePaths(a.path, b.path))
}

const isStored = (entry: IndexEntry): entry is Exclude<IndexEntry, { type: 'folder' }> =>
  entry.type !== 'folder'

const contentOf = (file: FileEntry, prepared: PreparedBundle): WantedContent => ({
  blake3: file.blake3,
  size: file.size,
  from: prepared.locate(file),
  counted: true,
})
