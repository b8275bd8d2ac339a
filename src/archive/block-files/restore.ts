import type Hypercore from 'hypercore'
import type { Database } from 'hypercore-storage'
import { core as keys } from 'hypercore-storage/lib/keys.js'
import type { Change } from 'hypercore-storage/lib/view.js'
import type { BlockSource } from './block-notes.ts'
import { replacePointers } from './compaction.ts'
import { dataPointerOf, storageOf } from './data-pointer.ts'
import type { PendingBlock } from './new-block.ts'
import type { SourceTable } from './source-table.ts'
import { decodeValue, type Pointer } from './stored-value.ts'

/** Bytes that were found again, for a block that may have lost them. */
export interface FoundBlock {
  readonly index: number
  readonly bytes: Uint8Array
  readonly blake3: Buffer
  readonly source?: BlockSource | undefined
}

/** What restoring needs of the store. */
export interface RestoreRoom {
  readonly db: Database
  readonly sources: SourceTable
  /** Whether the bytes are there that a pointer names; they are read for that. */
  holds(pointer: Pointer): Promise<boolean>
  write<T>(blocks: readonly PendingBlock[], settle: () => Promise<T>): Promise<T>
  sync(): Promise<void>
  alone<T>(work: () => Promise<T>): Promise<T>
}

/**
 * Points the blocks of `core` whose bytes are damaged on disk, or lay in a file of the author's which went away or changed, to
 * where their bytes were found again, or stores a copy of these. Gives the numbers of the blocks that were restored.
 */
export async function restoreBlocks(
  { db, sources, holds, write, sync, alone }: RestoreRoom,
  core: Hypercore,
  found: readonly FoundBlock[],
): Promise<number[]> {
  const storage = storageOf(core)
  const reader = db.read({ autoDestroy: true })
  const wanted = found.map(({ index }) => keys.block(dataPointerOf(storage.core, index), index))
  const reading = wanted.map(key => reader.get(key))
  reader.tryFlush()
  const values = await Promise.all(reading)
  const lost: (PendingBlock & { readonly old: Buffer; readonly index: number })[] = []
  for (const [i, { index, bytes, blake3, source }] of found.entries()) {
    const old = values[i]
    const stored = old ? decodeValue(old) : null
    if (!old || (stored?.kind !== 'source' && stored?.kind !== 'file')) continue
    if (!stored.blake3.equals(blake3) || stored.length !== bytes.length) continue
    const gone = stored.kind === 'source' && (await sources.unchanged(stored.id)) === null
    if (!gone && (await holds(stored))) continue
    const change: Change = [wanted[i]!, null, null]
    lost.push({ index, bytes, blake3, source, change, old })
  }
  if (lost.length === 0) return []
  await write(lost, async () => {
    await sync()
    await alone(() => replacePointers(db, lost))
  })
  return lost.map(({ index }) => index)
}
