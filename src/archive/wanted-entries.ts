import type { IndexEntry } from '../../schemas/index.ts'
import { isReserved } from '../core/archive-path.ts'
import { fail } from '../core/errors.ts'
import { blake3 } from '../system/blake3.ts'
import { IMAGES_FOLDER } from './drive-paths.ts'

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
}

/** A file of repro's own: the manifest, or a segment of the index. */
export interface OwnText {
  readonly path: string
  /** Of a segment, that it is named by. */
  readonly blake3: string | null
  readonly text: string
}

/**
 * How an entry of the index stands in the drive; null for an empty folder, which is in the index alone.
 * Throws PATH_UNSAFE for a path that is repro's own.
 */
export function wantedOf(entry: IndexEntry): Wanted | null {
  const { path, type } = entry
  if (isReserved(path) && !path.startsWith(`${IMAGES_FOLDER}/`))
    fail('PATH_UNSAFE', `"${path}" belongs to repro itself and cannot be published`, {
      data: { path },
    })
  if (type === 'folder') return null
  if (type === 'link') return { path, executable: false, linkname: entry.target, content: null }
  const content = { blake3: entry.blake3, size: entry.size }
  return { path, executable: entry.executable === true, linkname: null, content }
}

/** How a file of repro's own stands in the drive. */
export function wantedText({ path, text, blake3: known }: OwnText): Wanted {
  const content = { blake3: known ?? blake3(text), size: Buffer.byteLength(text) }
  return { path, executable: false, linkname: null, content }
}
