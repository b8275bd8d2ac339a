import type Hypercore from 'hypercore'
import type { Database } from 'hypercore-storage'
import { storageOf } from './data-pointer.ts'
import { blockFilesOf } from './open-block-storage.ts'
import { sourceRecords } from './source-table.ts'

/** Blocks looked up at once. */
const SLICE = 4096

/**
 * Bytes of those of a core's blocks [start, end) … that lie in the author's own files. Reads their pointers, and none in a store
 * that has nothing in place.
 */
export async function bytesInPlace(
  core: Hypercore,
  runs: Iterable<{ readonly start: number; readonly end: number }>,
): Promise<number> {
  const { db } = storageOf(core)
  const files = blockFilesOf({ db })
  if (files === null || !(await hasSources(db))) return 0
  let bytes = 0
  for (const { start, end } of runs)
    for (let at = start; at < end; at += SLICE) {
      const count = Math.min(SLICE, end - at)
      const found = await files.extentsAt(
        core,
        Array.from({ length: count }, (_, i) => at + i),
      )
      for (const one of found) if (one && 'path' in one && one.inPlace) bytes += one.length
    }
  return bytes
}

async function hasSources(db: Database): Promise<boolean> {
  for await (const _ of sourceRecords(db)) return true
  return false
}
