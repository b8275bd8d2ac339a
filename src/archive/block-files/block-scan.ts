import type CorestoreStorage from 'hypercore-storage'
import type { Database } from 'hypercore-storage'
import { core as keys } from 'hypercore-storage/lib/keys.js'
import View from 'hypercore-storage/lib/view.js'

/** Entries that RocksDB hands over at once: few, as a value in it may be a whole block. */
const AT_ONCE = 64

export interface StoredEntry {
  readonly key: Buffer
  readonly value: Buffer
}

/** How many data pointers were ever given out in a store; each is the data of a core or of a named session. */
export async function countDataPointers(storage: CorestoreStorage): Promise<number> {
  return (await storage._getHead(new View())).datas
}

/** The keys and values of all blocks of a store in the order of the keys, from after `after` on. */
export async function* scanBlocks(
  db: Database,
  dataPointers: number,
  after: Buffer | null = null,
): AsyncGenerator<StoredEntry> {
  for (let pointer = 0; pointer < dataPointers; pointer++) {
    const first = keys.block(pointer, 0)
    const lt = keys.block(pointer, Number.POSITIVE_INFINITY)
    const from =
      after !== null && Buffer.compare(after, first) >= 0 ? { gt: after } : { gte: first }
    if ('gt' in from && Buffer.compare(after!, lt) >= 0) continue
    yield* db.iterator({ ...from, lt, capacity: AT_ONCE })
  }
}
