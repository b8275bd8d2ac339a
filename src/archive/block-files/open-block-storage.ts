import { rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Database } from 'hypercore-storage'
import CorestoreStorage from 'hypercore-storage'
import { fail } from '../../core/errors.ts'
import { BlockFiles } from './block-files.ts'
import { countDataPointers } from './block-scan.ts'
import { patchLeafHashes } from './leaf-notes.ts'
import { readMark } from './mark.ts'
import { migrateBlocks } from './migration.ts'
import { removeOldLogs } from './old-logs.ts'
import { patchBlockStream, patchTransactions } from './patch.ts'
import { blockFilesOfDatabase, registerBlockFiles } from './registry.ts'
import { installedStorage, TESTED_STORAGE } from './tested-version.ts'

/** RocksDB's own numbers. */
const FORCE_COLLECTION = 1
const FORCE_LAST_LEVEL = 2

export interface BlockStorageOptions {
  readonly readOnly?: boolean
  /** False: new blocks go into RocksDB. Default: true, unless REPRO_BLOCK_FILES is `off`. */
  readonly blockFiles?: boolean
  /** When a block file is full; about 1 GiB. */
  readonly fileBytes?: number
  /** The version of hypercore-storage; what is installed. */
  readonly storageVersion?: string
}

/** What RocksDB keeps in memory before it writes a table, up to three times; large blocks do not lie in it. */
const WRITE_BUFFER_BYTES = 16 << 20

/**
 * Opens the storage of a store whose large blocks lie in block files, to be handed to
 * `new Corestore(storage)`, which closes it. A stock store is migrated first. Over another version
 * of hypercore-storage than the tested one, a stock store stays stock, and one with block files is
 * refused: FORMAT_UNSUPPORTED, as is a store of Hypercore 10. Else it throws what hypercore-storage
 * throws (see `openError`), DISK_FULL and WRITE_FAILED.
 */
export async function openBlockStorage(
  folder: string,
  options: BlockStorageOptions = {},
): Promise<CorestoreStorage> {
  await refuseLegacy(folder)
  const { readOnly = false } = options
  const storage = new CorestoreStorage(folder, { readOnly, writeBufferSize: WRITE_BUFFER_BYTES })
  try {
    await moveBack(folder)
    await storage.ready()
    if (!readOnly) await removeOldLogs(join(folder, 'db'))
    const { storageVersion = installedStorage() } = options
    if (storageVersion === TESTED_STORAGE) await layUnder(storage, join(folder, 'blocks'), options)
    else await refuseUntested(storage, storageVersion)
    return storage
  } catch (error) {
    await storage.close().catch(() => undefined)
    throw error
  }
}

/** The block files under a storage; null for a stock storage. */
export function blockFilesOf(storage: { readonly db: unknown }): BlockFiles | null {
  return blockFilesOfDatabase((storage as CorestoreStorage).db)
}

async function layUnder(
  storage: CorestoreStorage,
  folder: string,
  options: BlockStorageOptions,
): Promise<void> {
  const { readOnly = false, blockFiles = process.env['REPRO_BLOCK_FILES'] !== 'off' } = options
  const { db } = storage
  const before = await readMark(db)
  const migrates = !readOnly && before.tagged !== 'all' && (blockFiles || before.tagged !== 'none')
  const files = await BlockFiles.open({
    folder,
    db,
    mark: migrates ? { tagged: 'all' } : before,
    countDataPointers: () => countDataPointers(storage),
    outside: blockFiles,
    fileBytes: options.fileBytes,
  })
  if (migrates) {
    const dataPointers = await countDataPointers(storage)
    await migrateBlocks(db, files, dataPointers, before)
    if (dataPointers > 0) await giveBack(db)
  }
  patchTransactions()
  patchLeafHashes()
  registerBlockFiles(db, files)
  watch(storage, files)
}

/** RocksDB keeps the old values until it is told to go through all of its files, of any age. */
async function giveBack(db: Database): Promise<void> {
  await db.flush()
  await db.compactRange(null, null, {
    blobGarbageCollectionPolicy: FORCE_COLLECTION,
    blobGarbageCollectionAgeCutoff: 1,
    bottommostLevelCompaction: FORCE_LAST_LEVEL,
  })
}

/** Sees the first session of a core, for its class, and the end of the store. */
function watch(storage: CorestoreStorage, files: BlockFiles): void {
  const { close, createCore, resumeCore, export: exportCore } = storage
  storage.export = async (key, options) => {
    const exported = await exportCore.call(storage, key, options)
    for (const { blocks } of exported?.data ?? [])
      for (const block of blocks) block.value = await files.bytes(block.value)
    return exported
  }
  storage.resumeCore = async key => {
    const core = await resumeCore.call(storage, key)
    if (core !== null) patchBlockStream(core)
    return core
  }
  storage.createCore = async data => {
    const core = await createCore.call(storage, data)
    patchBlockStream(core)
    return core
  }
  storage.close = async () => {
    await close.call(storage)
    await files.close()
  }
}

async function refuseUntested(storage: CorestoreStorage, version: string): Promise<void> {
  if ((await readMark(storage.db)).tagged === 'none') return
  fail(
    'FORMAT_UNSUPPORTED',
    `the store has block files, which work with hypercore-storage ${TESTED_STORAGE} and not with ${version}`,
    { hints: [`npm install hypercore-storage@${TESTED_STORAGE}`] },
  )
}

/** Where its own file is missing, hypercore-storage takes every unknown folder for a part of RocksDB. */
async function moveBack(folder: string): Promise<void> {
  const blocks = join(folder, 'blocks')
  const taken = join(folder, 'db', 'blocks')
  if ((await stat(taken).catch(() => null))?.isDirectory() !== true) return
  if ((await stat(blocks).catch(() => null)) === null) await rename(taken, blocks)
}

async function refuseLegacy(folder: string): Promise<void> {
  const found = await stat(join(folder, 'primary-key')).catch(() => null)
  if (found !== null)
    fail('FORMAT_UNSUPPORTED', `the store at "${folder}" was made by Hypercore 10`, {
      hints: ['point REPRO_HOME to a new folder, and fetch or publish again'],
    })
}
