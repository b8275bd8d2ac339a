import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import CorestoreStorage from 'hypercore-storage'
import { fail } from '../../core/errors.ts'
import { BlockFiles } from './block-files.ts'
import { markChange, readMark } from './mark.ts'
import { patchBlockStream, patchTransactions } from './patch.ts'
import { blockFilesOfDatabase, registerBlockFiles } from './registry.ts'

export interface BlockStorageOptions {
  readonly readOnly?: boolean
  /** False: new blocks go into RocksDB. Default: not so, unless REPRO_BLOCK_FILES is `off`. */
  readonly blockFiles?: boolean
  /** When a block file is full; about 1 GiB. */
  readonly fileBytes?: number
}

/**
 * Opens the storage of a store whose large blocks lie in block files, to be handed to
 * `new Corestore(storage)`, which closes it. Throws what hypercore-storage throws (see `openError`),
 * and FORMAT_UNSUPPORTED for a store of Hypercore 10.
 */
export async function openBlockStorage(
  folder: string,
  options: BlockStorageOptions = {},
): Promise<CorestoreStorage> {
  const { readOnly = false, blockFiles = process.env['REPRO_BLOCK_FILES'] !== 'off' } = options
  await refuseLegacy(folder)
  const storage = new CorestoreStorage(folder, { readOnly })
  try {
    await storage.ready()
    await layUnder(storage, join(folder, 'blocks'), { ...options, readOnly, blockFiles })
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
  { readOnly = false, blockFiles = true, fileBytes }: BlockStorageOptions,
): Promise<void> {
  const { db } = storage
  let mark = await readMark(db)
  if (mark.tagged === 'none' && blockFiles && !readOnly) {
    mark = { tagged: 'all' }
    const batch = db.write({ autoDestroy: true })
    batch.tryPut(...markChange(mark))
    await batch.flush()
  }
  const files = await BlockFiles.open({
    folder,
    db,
    mark,
    readOnly,
    outside: blockFiles,
    fileBytes,
  })
  patchTransactions()
  registerBlockFiles(db, files)
  watch(storage, files)
}

/** Sees the first session of a core, for its class, and the end of the store. */
function watch(storage: CorestoreStorage, files: BlockFiles): void {
  const { close, createCore, resumeCore } = storage
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

async function refuseLegacy(folder: string): Promise<void> {
  const found = await stat(join(folder, 'primary-key')).catch(() => null)
  if (found !== null)
    fail('FORMAT_UNSUPPORTED', `the store at "${folder}" was made by Hypercore 10`, {
      hints: ['point REPRO_HOME to a new folder, and fetch or publish again'],
    })
}
