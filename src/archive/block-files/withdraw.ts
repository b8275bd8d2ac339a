import type Corestore from 'corestore'
import type { OpenCore } from 'corestore'
import { blockFilesOf } from './open-block-storage.ts'

/**
 * Tells peers that ask for a damaged block that it is not here, so that they ask others for it;
 * one that only got no answer would ask again until it passes this peer over for all blocks.
 */
export function withdrawDamaged(store: Corestore): void {
  const withdrawn = new WeakMap<OpenCore, Set<number>>()
  blockFilesOf(store.storage)?.onUnservable((dataPointer, index) => {
    for (const core of store.cores.map.values()) {
      if (core.state?.storage.core.dataPointer !== dataPointer) continue
      const indexes = withdrawn.get(core) ?? new Set()
      withdrawn.set(core, indexes.add(index))
      withdraw(core, index, indexes)
    }
  })
}

/**
 * A peer that was told "all of the first n blocks" takes a dropped block for the end of them, so
 * those after it are told anew, but for others that were dropped before.
 */
function withdraw(core: OpenCore, index: number, withdrawn: ReadonlySet<number>): void {
  const end = core.header.hints.contiguousLength
  const dropped = [...withdrawn].filter(one => one > index && one < end).sort((a, b) => a - b)
  for (const { wireRange } of core.replicator.peers) {
    wireRange.send({ drop: true, start: index, length: 1 })
    let start = index + 1
    for (const next of [...dropped, end]) {
      if (next > start) wireRange.send({ drop: false, start, length: next - start })
      start = next + 1
    }
  }
}
