import { setImmediate } from 'node:timers/promises'
import type Hypercore from 'hypercore'
import type { Patience } from './patience.ts'

/** Blocks of a core from `start` to before `end`, and how many bytes they should have. */
export interface BlockRange {
  readonly start: number
  end: number
  bytes: number
}

/** Blocks looked for in the store until others get their turn. */
const SLICE = 4096

/** Ascending, none twice, neighbours as one. Where ranges overlap in part, the bytes are an estimate. */
export function mergeRanges(ranges: readonly BlockRange[]): BlockRange[] {
  const sorted = [...ranges].sort((a, b) => a.start - b.start)
  const merged: BlockRange[] = []
  for (const { start, end, bytes } of sorted) {
    const last = merged.at(-1)
    if (last && start < last.end) {
      const more = Math.max(0, end - last.end)
      last.end += more
      last.bytes += Math.round((bytes * more) / (end - start))
    } else if (last && start === last.end) {
      last.end = end
      last.bytes += bytes
    } else merged.push({ start, end, bytes })
  }
  return merged
}

/** The parts of `ranges` that are not here; `onMissing` is told about how many bytes they have. Throws INTERRUPTED. */
export async function missingRanges(
  core: Hypercore,
  ranges: readonly BlockRange[],
  patience: Patience,
  onMissing: (bytes: number) => void,
): Promise<BlockRange[]> {
  const missing: BlockRange[] = []
  for (const range of ranges) {
    if (await core.has(range.start, range.end)) continue
    const perBlock = range.bytes / (range.end - range.start)
    let count = 0
    const add = (start: number, end: number) => {
      count += end - start
      const last = missing.at(-1)
      if (last && last.end === start) last.end = end
      else missing.push({ start, end, bytes: 0 })
    }
    // What lies beyond the core as it is known here is not here: strangers may claim any number of blocks.
    const known = Math.min(range.end, Math.max(range.start, core.length))
    for (let index = range.start; index < known; index++) {
      if ((index - range.start) % SLICE === 0) {
        patience.throwIfAborted()
        await setImmediate()
      }
      if (!(await core.has(index))) add(index, index + 1)
    }
    if (known < range.end) add(known, range.end)
    onMissing(Math.round(perBlock * count))
  }
  return missing
}

/** Whether a block lies in one of `ranges`, which ascend. */
export function isIn(ranges: readonly BlockRange[], index: number): boolean {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ranges[middle]!.end <= index) low = middle + 1
    else high = middle
  }
  const range = ranges[low]
  return range !== undefined && range.start <= index
}
