import type Hypercore from 'hypercore'
import { core as keys } from 'hypercore-storage/lib/keys.js'
import { dataPointerOf, storageOf } from './data-pointer.ts'
import { decodeValue, type StoredValue } from './stored-value.ts'

/** Where the stored bytes of a block lie (those of an encrypted core are encrypted). */
export type BlockExtent = {
  readonly block: number
  readonly length: number
  /** BLAKE3 of the bytes; null for bytes that are here anyway. */
  readonly blake3: Buffer | null
} & (
  | {
      readonly path: string
      readonly offset: number
      /** Whether it is a file of the author's. */
      readonly inPlace: boolean
    }
  | { readonly bytes: Buffer }
)

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
  const storage = storageOf(core)
  const reader = storage.read()
  const wanted = indexes.map(index => keys.block(dataPointerOf(reader.core, index), index))
  const reading = Promise.all(wanted.map(key => reader.view.get(reader.read, key)))
  reader.tryFlush()
  const values = await reading
  const stored = values.map((value, at) => storedIn(value, places.tagged(wanted[at]!)))
  const sources = await sourcePaths(stored, places)
  return stored.map((one, at) => extentOf(indexes[at]!, one, places, sources))
}

function storedIn(value: Buffer | null, tagged: boolean): StoredValue | null {
  if (value === null) return null
  return tagged ? decodeValue(value) : { kind: 'inline', bytes: value }
}

async function sourcePaths(
  stored: readonly (StoredValue | null)[],
  places: Places,
): Promise<Map<number, string | null>> {
  const paths = new Map<number, string | null>()
  for (const one of stored)
    if (one?.kind === 'source' && !paths.has(one.id)) paths.set(one.id, await places.source(one.id))
  return paths
}

function extentOf(
  block: number,
  stored: StoredValue | null,
  places: Places,
  sources: ReadonlyMap<number, string | null>,
): BlockExtent | null {
  if (stored === null || stored.kind === 'invalid') return null
  if (stored.kind === 'inline')
    return { block, length: stored.bytes.length, blake3: null, bytes: stored.bytes }
  const { id, offset, length, blake3 } = stored
  const inPlace = stored.kind === 'source'
  const path = inPlace ? sources.get(id) : places.file(id)
  return path == null ? null : { block, length, blake3, path, offset, inPlace }
}
