import type Corestore from 'corestore'
import type { OpenCore } from 'corestore'
import { blockFilesOf } from './open-block-storage.ts'

/** Blocks from `start` up to `end`. */
interface Range {
  readonly start: number
  readonly end: number
}

type Peer = OpenCore['replicator']['peers'][number]

/** A range that is not here, and who was told so. */
interface Withdrawn extends Range {
  readonly told: WeakSet<Peer>
}

/** So many ranges are remembered for a core. */
const KEPT = 1000

/**
 * Tells peers that ask for a damaged block that it is not here, so that they ask others for it;
 * one that only got no answer would ask again until it passes this peer over for all blocks. Each peer is told once of a range.
 */
export function withdrawDamaged(store: Corestore): void {
  const withdrawn = new WeakMap<OpenCore, Withdrawn[]>()
  blockFilesOf(store.storage)?.onUnservable((dataPointer, index, length) => {
    for (const core of store.cores.map.values()) {
      if (core.state?.storage.core.dataPointer !== dataPointer) continue
      const end = index + length
      const known = withdrawn.get(core) ?? []
      const within = known.find(one => one.start <= index && end <= one.end)
      const range = within ?? { start: index, end, told: new WeakSet() }
      const others = known.filter(one => one !== range)
      withdrawn.set(core, [...others, range].sort((a, b) => a.start - b.start).slice(-KEPT))
      withdraw(core, range, others)
    }
  })
}

/**
 * A peer that was told "all of the first n blocks" takes a dropped block for the end of them, so
 * those after it are told anew, but for others that were dropped before.
 */
function withdraw(core: OpenCore, { start, end, told }: Withdrawn, before: readonly Range[]): void {
  const all = core.header.hints.contiguousLength
  const healthy: Range[] = []
  let from = end
  for (const one of before) {
    if (one.end <= from) continue
    if (one.start > from && one.start < all) healthy.push({ start: from, end: one.start })
    from = one.end
  }
  if (from < all) healthy.push({ start: from, end: all })
  for (const peer of core.replicator.peers) {
    if (told.has(peer)) continue
    told.add(peer)
    const { wireRange } = peer
    wireRange.send({ drop: true, start, length: end - start })
    for (const one of healthy)
      wireRange.send({ drop: false, start: one.start, length: one.end - one.start })
  }
}
