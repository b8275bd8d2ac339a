import { stat } from 'node:fs/promises'
import type { Database } from 'hypercore-storage'
import { scanBlocks } from './block-scan.ts'
import { blockFile, listBlockFiles } from './block-writer.ts'
import { decodeValue } from './stored-value.ts'

/** What the blocks of a store take, in bytes. */
export interface BlockUsage {
  readonly files: number
  /** Of the block files on disk. */
  readonly fileBytes: number
  /** Of these, those that a block points at; `compact` gives most of the rest back. */
  readonly liveBytes: number
  /** Of blocks in RocksDB itself. */
  readonly inlineBytes: number
  /** Of blocks in the author's own files, which are not copied. */
  readonly sourceBytes: number
}

export interface FileUsage {
  readonly id: number
  readonly size: number
  readonly live: number
}

export interface UsageByFile {
  readonly files: readonly FileUsage[]
  readonly inlineBytes: number
  readonly sourceBytes: number
}

/** Counts what the pointers of a store name, by block file. */
export async function measureFiles(
  db: Database,
  dataPointers: number,
  folder: string,
): Promise<UsageByFile> {
  const live = new Map<number, number>()
  let inlineBytes = 0
  let sourceBytes = 0
  for await (const { value } of scanBlocks(db, dataPointers)) {
    const stored = decodeValue(value)
    if (stored.kind === 'inline') inlineBytes += stored.bytes.length
    else if (stored.kind === 'source') sourceBytes += stored.length
    else if (stored.kind === 'file') live.set(stored.id, (live.get(stored.id) ?? 0) + stored.length)
  }
  const files: FileUsage[] = []
  for (const id of await listBlockFiles(folder)) {
    const stats = await stat(blockFile(folder, id)).catch(() => null)
    if (stats !== null) files.push({ id, size: stats.size, live: live.get(id) ?? 0 })
  }
  return { files, inlineBytes, sourceBytes }
}

export function sumUsage({ files, inlineBytes, sourceBytes }: UsageByFile): BlockUsage {
  const sum = (of: (file: FileUsage) => number) => files.reduce((all, one) => all + of(one), 0)
  return {
    files: files.length,
    fileBytes: sum(one => one.size),
    liveBytes: sum(one => one.live),
    inlineBytes,
    sourceBytes,
  }
}
