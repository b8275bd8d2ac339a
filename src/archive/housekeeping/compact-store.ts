import { join } from 'node:path'
import CorestoreStorage, { type StoredCore } from 'hypercore-storage'
import { enterPhase } from '../../system/phase.ts'
import { blockFilesOf, openBlockStorage } from '../block-files/open-block-storage.ts'
import { openError, storeError } from '../store-errors.ts'

/** Files that are all dead go first: on a full disk that makes the room that rewriting the others needs. */
const DEAD_SHARES = [1, 0.5, 0.05]

/**
 * Gives back to the disk what was cleared in the store of a home, which nobody has open; before that, forgets the cores
 * of `deleted`. Safe to kill and to repeat. Throws STORE_BUSY, DISK_FULL, WRITE_FAILED, STORE_INVALID.
 */
export async function compactStore(
  home: string,
  deleted: readonly StoredCore[] = [],
): Promise<void> {
  const folder = join(home, 'store')
  const storage = await openBlockStorage(folder).catch(error => {
    throw openError(error, folder, null)
  })
  try {
    for (const core of deleted) await storage.deleteCore(core)
    await storage.db.flush()
    enterPhase('compact')
    for (const deadShare of DEAD_SHARES) await blockFilesOf(storage)?.compact({ deadShare })
  } catch (error) {
    throw storeError(error, folder, folder)
  } finally {
    await storage.close()
  }
  await compactDatabase(folder)
}

/** Values that lie in RocksDB's own blob files are given back only when those of any age may be rewritten. */
async function compactDatabase(folder: string): Promise<void> {
  const storage = new CorestoreStorage(folder, { blobGarbageCollectionAgeCutOff: 1 })
  try {
    await storage.ready()
    enterPhase('compact')
    await storage.compact()
    await storage.db.flush()
  } catch (error) {
    throw storeError(error, folder, folder)
  } finally {
    await storage.close()
  }
}
