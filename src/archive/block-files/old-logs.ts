import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

const KEPT = 1

/**
 * Removes what RocksDB told of itself when it was opened before, but for the last time: about 45 kB each time, of which it
 * keeps 1,000 and rocksdb-native has no option for it. To be called while the store is open, by whoever may write it.
 */
export async function removeOldLogs(database: string): Promise<void> {
  const names = (await readdir(database)).filter(name => /^LOG\.old\.\d+$/.test(name)).sort()
  for (const name of names.slice(0, -KEPT)) await rm(join(database, name), { force: true })
}
