import type { Database } from 'hypercore-storage'
import type { BlockFiles } from './block-files.ts'

/** All sessions of a database share one state, by which the transactions of a store find its block files. */
const stores = new WeakMap<Database['_state'], BlockFiles>()

export function registerBlockFiles(db: Database, files: BlockFiles): void {
  stores.set(db._state, files)
}

export function blockFilesOfDatabase(db: Database | null): BlockFiles | null {
  return db === null ? null : (stores.get(db._state) ?? null)
}
