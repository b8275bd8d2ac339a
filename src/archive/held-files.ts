import type { DriveBlob } from 'hyperdrive'
import type { FileEntry } from '../../schemas/index.ts'
import { ReproError } from '../core/errors.ts'
import { parallel } from '../system/parallel.ts'
import type { DriveView } from './drive-view.ts'

const LOOKUPS_AT_ONCE = 32

/** How many of `files` are here with all their bytes, by what the store notes: nothing is read or hashed. */
export async function countHeld(
  view: DriveView,
  files: readonly FileEntry[],
  blobOf: (view: DriveView, file: FileEntry) => Promise<{ readonly blob: DriveBlob }>,
): Promise<number> {
  let held = 0
  const isHeld = async (file: FileEntry) => {
    try {
      const { blob } = await blobOf(view, file)
      if (blob.byteLength === 0) return true
      const core = await view.blobs()
      if (blob.blockMap) {
        for (const { index } of await view.blockMap(blob, file.size))
          if (!(await core.has(index))) return false
        return true
      }
      return await core.has(blob.blockOffset, blob.blockOffset + blob.blockLength)
    } catch (error) {
      if (error instanceof ReproError && error.code === 'NO_PEER') return false
      throw error
    }
  }
  for await (const here of parallel(files, LOOKUPS_AT_ONCE, isHeld)) if (here) held++
  return held
}
