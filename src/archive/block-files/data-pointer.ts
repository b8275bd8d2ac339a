import type Hypercore from 'hypercore'
import type { HypercoreStorage } from 'hypercore-storage'
import type { CorePointers } from 'hypercore-storage/lib/tx.js'

/** In which data a block of a named session lies: its own, or that of a core it depends on. */
export function dataPointerOf(core: CorePointers, index: number): number {
  for (const one of core.dependencies) if (index < one.length) return one.dataPointer
  return core.dataPointer
}

/** Where a core keeps its blocks: no part of Hypercore's public face, and the same in every version that is tested. */
export function storageOf(core: Hypercore): HypercoreStorage {
  return (core as unknown as { state: { storage: HypercoreStorage } }).state.storage
}
