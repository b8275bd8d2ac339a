export type { Bundle, BundleStore } from './bundle.ts'

import type { Seed } from '../system/seed.ts'
import type { BundleStore } from './bundle.ts'
import { CorestoreBundles } from './corestore-bundles.ts'

/**
 * Opens the one store of a home, at `<home>/store`. Throws STORE_BUSY when another process has it,
 * STORE_INVALID when it was moved or belongs to another seed.
 */
export async function openStore(home: string, seed: Seed): Promise<BundleStore> {
  return await CorestoreBundles.open(home, seed)
}
