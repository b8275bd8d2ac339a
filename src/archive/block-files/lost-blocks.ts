import type { Database } from 'hypercore-storage'
import { core as keys } from 'hypercore-storage/lib/keys.js'
import type { SourceTable } from './source-table.ts'
import { decodeValue } from './stored-value.ts'

/** So many blocks are looked at for others of the same lost file. */
const LOOKED_AT = 4096

/** How many blocks from this damaged one on are lost: a file of the author's that changed takes all of its own with it. */
export async function countLost(
  db: Database,
  sources: SourceTable,
  first: { dataPointer: number; index: number; value: Buffer | null },
): Promise<number> {
  const lost = first.value === null ? null : decodeValue(first.value)
  if (lost?.kind !== 'source' || (await sources.unchanged(lost.id)) !== null) return 1
  const reader = db.read({ autoDestroy: true })
  const reading = Array.from({ length: LOOKED_AT }, (_, i) =>
    reader.get(keys.block(first.dataPointer, first.index + 1 + i)),
  )
  reader.tryFlush()
  const next = (await Promise.all(reading)).findIndex(one => {
    const stored = one === null ? null : decodeValue(one)
    return stored?.kind !== 'source' || stored.id !== lost.id
  })
  return 1 + (next === -1 ? LOOKED_AT : next)
}
