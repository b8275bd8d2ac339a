import type { CorePointers } from 'hypercore-storage/lib/tx.js'

/** In which data a block of a named session lies: its own, or that of a core it depends on. */
export function dataPointerOf(core: CorePointers, index: number): number {
  for (const one of core.dependencies) if (index < one.length) return one.dataPointer
  return core.dataPointer
}
