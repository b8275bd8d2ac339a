import type Hypercore from 'hypercore'
import type { BlockSet } from './block-set.ts'

/** Blocks [start, end). */
export interface BlockRun {
  readonly start: number
  readonly end: number
}

/** The blocks of a core that are here, as runs in order. */
export function* heldRuns(core: Hypercore): Generator<BlockRun> {
  const { bitfield } = core.core
  for (let start = next(bitfield.firstSet(0), core.length); start < core.length; ) {
    const end = next(bitfield.firstUnset(start), core.length)
    yield { start, end }
    start = next(bitfield.firstSet(end), core.length)
  }
}

const next = (found: number, length: number) => (found === -1 ? length : Math.min(found, length))

/** The blocks that are here and (not) in `set`, as runs in order. */
export function* runsWithin(core: Hypercore, set: BlockSet, inside: boolean): Generator<BlockRun> {
  for (const { start, end } of heldRuns(core)) {
    let from = -1
    for (let index = start; index <= end; index++) {
      const wanted = index < end && set.has(index) === inside
      if (wanted && from < 0) from = index
      if (wanted || from < 0) continue
      yield { start: from, end: index }
      from = -1
    }
  }
}

/** Bytes of the blocks of `runs`, by the sizes in the signed tree: no block is read. */
export async function bytesOfRuns(core: Hypercore, runs: Iterable<BlockRun>): Promise<number> {
  let bytes = 0
  for (const { start, end } of runs) {
    for (let at = start; at < end; ) {
      const span = largestSpan(at, end)
      bytes += await bytesOfSpan(core, at, span)
      at += span
    }
  }
  return bytes
}

/** How many blocks from `at` on, and before `end`, one node of the tree covers. */
function largestSpan(at: number, end: number): number {
  let span = 1
  while (at % (span * 2) === 0 && at + span * 2 <= end) span *= 2
  return span
}

async function bytesOfSpan(core: Hypercore, start: number, span: number): Promise<number> {
  const reader = core.state.storage.read()
  const found = reader.getTreeNode(2 * start + span - 1)
  reader.tryFlush()
  const node = await found
  if (node !== null) return node.size
  // Of a core that is here in part, the nodes above are not all here either.
  if (span === 1) return 0
  const half = span / 2
  return (await bytesOfSpan(core, start, half)) + (await bytesOfSpan(core, start + half, half))
}
