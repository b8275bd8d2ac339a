import { rm } from 'node:fs/promises'
import type { Database } from 'hypercore-storage'
import type { Change } from 'hypercore-storage/lib/view.js'
import { type StoredEntry, scanBlocks } from './block-scan.ts'
import { blockFile, syncFolder } from './block-writer.ts'
import type { PendingBlock } from './new-block.ts'
import { decodeValue, type Pointer } from './stored-value.ts'
import { type FileUsage, measureFiles } from './usage.ts'

const BATCH_BYTES = 16 * 1024 * 1024
const PASS_BYTES = 256 * 1024 * 1024

export interface CompactOptions {
  /** A block file is rewritten when at least this share of it is dead; 0.5. */
  readonly deadShare?: number
  /** So much is written again before the files it comes from are removed, at least one file's; 256 MiB. */
  readonly passBytes?: number
  readonly signal?: AbortSignal
}

export interface CompactResult {
  /** Block files that are gone. */
  readonly files: number
  readonly freedBytes: number
  /** Live bytes that were written once more. */
  readonly movedBytes: number
}

/** What a compaction needs of the store. */
export interface CompactRoom {
  readonly db: Database
  readonly folder: string
  countDataPointers(): Promise<number>
  /** The file that is appended to, and a call that makes it a finished one. */
  newest(): number
  roll(): Promise<void>
  /** True when bytes in a file may get a pointer that is not in RocksDB yet. */
  isUnsettled(id: number): boolean
  read(pointer: Pointer): Promise<Buffer>
  write<T>(blocks: readonly PendingBlock[], settle: () => Promise<T>): Promise<T>
  sync(): Promise<void>
  alone<T>(work: () => Promise<T>): Promise<T>
  /** Keeps the bytes of a file for those that read it now, and takes its name away with `remove`. */
  retire(id: number, remove: () => Promise<void>): Promise<void>
}

/**
 * Rewrites the live blocks of files that are mostly dead at the end of the newest file, and removes
 * those files, some at a time, so that a disk that is nearly full has room for it. A kill at any time loses nothing: a file
 * goes only when the new pointers are durable, and what was half done is dead bytes for the next one.
 */
export async function compactBlocks(
  room: CompactRoom,
  { deadShare = 0.5, passBytes = PASS_BYTES, signal }: CompactOptions,
): Promise<CompactResult> {
  const { db, folder } = room
  const before = await measureFiles(db, await room.countDataPointers(), folder)
  const dead = before.files.filter(one => one.size - one.live >= deadShare * one.size)
  if (dead.some(one => one.id === room.newest())) await room.roll()
  // from here on nothing is appended to these files; what is unsettled may still get a pointer
  const going = new Map(dead.filter(one => !room.isUnsettled(one.id)).map(one => [one.id, one]))
  const result = { files: 0, freedBytes: 0, movedBytes: 0 }
  for (const pass of passesOf(going, passBytes)) {
    await keepDamaged(room, pass)
    const movedBytes = await moveLive(room, pass, signal)
    await db.flush()
    for (const [id, { size }] of pass) {
      await room.retire(id, () => rm(blockFile(folder, id), { force: true }))
      result.freedBytes += size
    }
    await syncFolder(folder)
    result.files += pass.size
    result.movedBytes += movedBytes
    result.freedBytes -= movedBytes
  }
  return result
}

/** The deadest files first, so many at once that little disk is needed besides: each pass reads all pointers. */
function passesOf(
  going: ReadonlyMap<number, FileUsage>,
  passBytes: number,
): Map<number, FileUsage>[] {
  const passes: Map<number, FileUsage>[] = []
  let live = Number.POSITIVE_INFINITY
  for (const [id, file] of [...going].sort(([, a], [, b]) => a.live - b.live)) {
    if (live + file.live > passBytes) {
      passes.push(new Map())
      live = 0
    }
    passes.at(-1)!.set(id, file)
    live += file.live
  }
  return passes
}

/** Takes a file with a block that cannot be read out of `going`: it stays, and nothing of it is copied. */
async function keepDamaged(room: CompactRoom, going: Map<number, unknown>): Promise<void> {
  for await (const { value } of scanBlocks(room.db, await room.countDataPointers())) {
    const pointer = decodeValue(value)
    if (pointer.kind !== 'file' || !going.has(pointer.id)) continue
    if ((await room.read(pointer).catch(() => null)) === null) going.delete(pointer.id)
  }
}

/** A file with a block that went bad meanwhile is taken out of `going` too; the bytes moved are those of files that go. */
async function moveLive(
  room: CompactRoom,
  going: Map<number, unknown>,
  signal: AbortSignal | undefined,
): Promise<number> {
  let batch: { entry: StoredEntry; bytes: Buffer; pointer: Pointer }[] = []
  let size = 0
  const moved = new Map<number, number>()
  const move = async (): Promise<void> => {
    signal?.throwIfAborted()
    await moveBatch(room, batch)
    for (const { bytes, pointer } of batch)
      moved.set(pointer.id, (moved.get(pointer.id) ?? 0) + bytes.length)
    batch = []
    size = 0
  }
  for await (const entry of scanBlocks(room.db, await room.countDataPointers())) {
    const pointer = decodeValue(entry.value)
    if (pointer.kind !== 'file' || !going.has(pointer.id)) continue
    const bytes = await room.read(pointer).catch(() => null)
    if (bytes === null) {
      going.delete(pointer.id)
      continue
    }
    batch.push({ entry, bytes, pointer })
    size += bytes.length
    if (size >= BATCH_BYTES) await move()
  }
  if (batch.length > 0) await move()
  return [...moved].reduce((all, [id, bytes]) => all + (going.has(id) ? bytes : 0), 0)
}

async function moveBatch(
  room: CompactRoom,
  batch: readonly { entry: StoredEntry; bytes: Buffer; pointer: Pointer }[],
): Promise<void> {
  const blocks = batch.map(({ entry, bytes, pointer }) => {
    const change: Change = [entry.key, null, null]
    return { bytes, blake3: pointer.blake3, change, old: entry.value }
  })
  await room.write(blocks, async () => {
    await room.sync()
    await room.alone(() => replacePointers(room.db, blocks))
  })
}

/** Only where the old pointer is still there: a block that was cleared meanwhile stays cleared. */
export async function replacePointers(
  db: Database,
  blocks: readonly { change: Change; old: Buffer }[],
): Promise<void> {
  const reader = db.read({ autoDestroy: true })
  const now = blocks.map(({ change }) => reader.get(change[0]))
  reader.tryFlush()
  const values = await Promise.all(now)
  const batch = db.write({ autoDestroy: true })
  for (const [index, { change, old }] of blocks.entries())
    if (values[index]?.equals(old)) batch.tryPut(change[0], change[1]!)
  await batch.flush()
}
