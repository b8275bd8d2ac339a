import type Hypercore from 'hypercore'
import type { HypercoreStorage } from 'hypercore-storage'
import { core as keys } from 'hypercore-storage/lib/keys.js'
import { dataPointerOf } from './data-pointer.ts'
import { decodeValue } from './stored-value.ts'

/** Where the stored bytes of a block lie (those of an encrypted core are encrypted). */
export type BlockExtent = {
  readonly block: number
  readonly length: number
  /** BLAKE3 of the bytes; null for bytes that are here anyway. */
  readonly blake3: Buffer | null
} & ({ readonly path: string; readonly offset: number } | { readonly bytes: Buffer })

interface Places {
  tagged(key: Buffer): boolean
  file(id: number): string
  source(id: number): Promise<string | null>
}

/** One extent an index, null for a block that is not here, with one read of RocksDB for all. */
export async function readExtents(
  core: Hypercore,
  indexes: readonly number[],
  places: Places,
): Promise<(BlockExtent | null)[]> {
  await core.ready()
  const { storage } = (core as unknown as { state: { storage: HypercoreStorage } }).state
  const reader = storage.read()
  const values = indexes.map(index => {
    const key = keys.block(dataPointerOf(reader.core, index), index)
    return { tagged: places.tagged(key), value: reader.view.get(reader.read, key) }
  })
  reader.tryFlush()
  const extents: (BlockExtent | null)[] = []
  for (const [at, { tagged, value }] of values.entries())
    extents.push(await extentOf(indexes[at]!, await value, tagged, places))
  return extents
}

async function extentOf(
  block: number,
  value: Buffer | null,
  tagged: boolean,
  places: Places,
): Promise<BlockExtent | null> {
  if (value === null) return null
  const stored = tagged ? decodeValue(value) : ({ kind: 'inline', bytes: value } as const)
  if (stored.kind === 'invalid') return null
  if (stored.kind === 'inline')
    return { block, length: stored.bytes.length, blake3: null, bytes: stored.bytes }
  const { offset, length, blake3 } = stored
  const path = stored.kind === 'file' ? places.file(stored.id) : await places.source(stored.id)
  return path === null ? null : { block, length, blake3, path, offset }
}
