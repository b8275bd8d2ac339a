import type { Database } from 'hypercore-storage'
import type { Change } from 'hypercore-storage/lib/view.js'
import type { BlockFiles } from './block-files.ts'
import { type StoredEntry, scanBlocks } from './block-scan.ts'
import { type Mark, markChange } from './mark.ts'
import type { PendingBlock } from './new-block.ts'

const BATCH_BYTES = 16 * 1024 * 1024
const BATCH_BLOCKS = 4096

/**
 * Rewrites the blocks of a stock store with tags, the large ones into block files. The mark goes on
 * in the same batch of RocksDB as the blocks, so that a migration that was killed goes on from there.
 */
export async function migrateBlocks(
  db: Database,
  files: BlockFiles,
  dataPointers: number,
  { tagged }: Mark,
): Promise<void> {
  let entries: StoredEntry[] = []
  let bytes = 0
  for await (const entry of scanBlocks(
    db,
    dataPointers,
    typeof tagged === 'string' ? null : tagged,
  )) {
    entries.push(entry)
    bytes += entry.value.length
    if (bytes < BATCH_BYTES && entries.length < BATCH_BLOCKS) continue
    await rewrite(db, files, entries, { tagged: entry.key })
    entries = []
    bytes = 0
  }
  await rewrite(db, files, entries, { tagged: 'all' })
}

async function rewrite(
  db: Database,
  files: BlockFiles,
  entries: readonly StoredEntry[],
  mark: Mark,
): Promise<void> {
  const pending: PendingBlock[] = []
  const changes = entries.map(({ key, value }) => {
    const tagged = files.valueFor(value)
    if (tagged instanceof Uint8Array) return [key, tagged, null] as Change
    const change: Change = [key, null, null]
    pending.push({ ...tagged, change })
    return change
  })
  await files.write(pending, false, async () => {
    // the values in RocksDB are the only copies until these are durable
    if (pending.length > 0) await files.sync()
    const batch = db.write({ autoDestroy: true })
    for (const [key, value] of changes) batch.tryPut(key, value!)
    batch.tryPut(...markChange(mark))
    await batch.flush()
  })
}
