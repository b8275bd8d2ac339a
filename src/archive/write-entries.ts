import type Hyperdrive from 'hyperdrive'
import type { DriveBlob } from 'hyperdrive'
import { enterPhase } from '../system/phase.ts'
import { TreeBatch } from './tree-batch.ts'
import type { Wanted } from './wanted-entries.ts'

/** What one append holds in memory until it is written. */
const BATCH_ENTRIES = 1024
/** What Hyperdrive puts before the names of its files. */
const KEY_PREFIX = 'files\0/'

/** The value of an entry, as Hyperdrive writes it. */
export interface EntryValue {
  readonly executable: boolean
  readonly linkname: string | null
  readonly blob: DriveBlob | null
  readonly metadata: { readonly blake3: string } | null
}

/** Puts entries into the tree of a drive, in bulk. Their paths must be such that Hyperdrive leaves them as they are. */
export async function writeEntries(
  drive: Hyperdrive,
  all: Iterable<Wanted>,
  entryValue: (wanted: Wanted) => Promise<EntryValue>,
  signal?: AbortSignal,
): Promise<void> {
  const iterator = all[Symbol.iterator]()
  let next = iterator.next()
  if (!next.done && drive.core.length === 0) {
    // Hyperdrive itself writes the header of a new tree.
    enterPhase('bee')
    await drive.putEntry(`/${next.value.path}`, await entryValue(next.value))
    next = iterator.next()
  }
  const batch = new TreeBatch(drive.db)
  const unlock = await drive.db.lock()
  try {
    while (!next.done) {
      signal?.throwIfAborted()
      enterPhase('bee')
      for (let i = 0; i < BATCH_ENTRIES && !next.done; i++, next = iterator.next()) {
        const key = Buffer.from(`${KEY_PREFIX}${next.value.path}`)
        const value = await entryValue(next.value)
        await batch.put(key, Buffer.from(JSON.stringify(value)))
      }
      await batch.flush()
    }
  } finally {
    unlock()
  }
}
