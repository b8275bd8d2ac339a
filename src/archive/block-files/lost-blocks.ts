import type { Database } from 'hypercore-storage'
import { core as keys } from 'hypercore-storage/lib/keys.js'
import type { SourceTable } from './source-table.ts'
import { decodeValue } from './stored-value.ts'

/** So many blocks are looked at for others of the same lost file. */
const LOOKED_AT = 4096

/** What was found lost is believed for so long, by so many ranges: peers may ask for each block of it. */
const BELIEVED_MS = 60_000
const REMEMBERED = 64

interface LostRange {
  readonly dataPointer: number
  readonly start: number
  readonly end: number
  readonly at: number
}

const remembered = new WeakMap<Database, readonly LostRange[]>()

/**
 * How many blocks from this damaged one on are lost: a file of the author's that changed takes all of its own with it.
 * Looked up once for many of them.
 */
export async function countLost(
  db: Database,
  sources: SourceTable,
  first: { dataPointer: number; index: number; value: Buffer | null },
): Promise<number> {
  const { dataPointer, index: start } = first
  const now = performance.now()
  const known = (remembered.get(db) ?? []).filter(one => now - one.at < BELIEVED_MS)
  const within = known.find(
    one => one.dataPointer === dataPointer && one.start <= start && start < one.end,
  )
  if (within) return within.end - start
  const length = await lookUp(db, sources, first)
  const found = { dataPointer, start, end: start + length, at: now }
  remembered.set(db, [...known, found].slice(-REMEMBERED))
  return length
}

async function lookUp(
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
