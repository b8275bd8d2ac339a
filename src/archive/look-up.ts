import type { FileEntry } from '../../schemas/index.ts'
import { comparePaths } from '../core/archive-path.ts'
import { parallel } from '../system/parallel.ts'
import type { DriveEntry, DriveView } from './drive-view.ts'

const LOOKUPS_AT_ONCE = 32
/** For fewer files than this, one look-up each is cheaper than reading the drive from the first to the last. */
const WORTH_A_RANGE = 256
/** So many entries of other files are read along for one that is wanted; then the rest is looked up one by one. */
const MOST_OTHERS = 8

/** A file of the index and what the drive says of it. */
export interface LookedUp {
  readonly file: FileEntry
  readonly entry: DriveEntry | null
}

/**
 * The drive's entries of many files, in order of their paths: one read of the range they lie in where that pays, else
 * one look-up each. Where peers may be asked, the range is fetched ahead of the reading.
 */
export async function* lookUp(
  view: DriveView,
  files: readonly FileEntry[],
): AsyncGenerator<LookedUp> {
  const wanted = [...files].sort((a, b) => comparePaths(a.path, b.path))
  let next = 0
  if (wanted.length >= WORTH_A_RANGE) {
    const stop = view.fetchAhead(wanted.length * MOST_OTHERS)
    try {
      let others = 0
      for await (const entry of view.range(wanted[0]!.path, wanted.at(-1)!.path)) {
        let order = -1
        while (next < wanted.length) {
          order = comparePaths(wanted[next]!.path, entry.path)
          if (order >= 0) break
          yield { file: wanted[next++]!, entry: null }
        }
        if (next < wanted.length && order === 0) yield { file: wanted[next++]!, entry }
        else if (++others > MOST_OTHERS * (next + WORTH_A_RANGE)) break
        if (next === wanted.length) return
      }
    } finally {
      stop()
    }
  }
  yield* parallel(wanted.slice(next), LOOKUPS_AT_ONCE, async file => ({
    file,
    entry: await view.entry(file.path),
  }))
}
