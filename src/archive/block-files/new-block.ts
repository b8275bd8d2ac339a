import type { Change } from 'hypercore-storage/lib/view.js'
import type { BlockSource } from './block-notes.ts'

/** A block that is to lie outside of RocksDB. */
export interface NewBlock {
  readonly bytes: Uint8Array
  readonly blake3: Buffer
  readonly source?: BlockSource | undefined
}

/** The same in a transaction, whose change still has to get the pointer. */
export type PendingBlock = NewBlock & { readonly change: Change }
