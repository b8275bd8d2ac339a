import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Corestore from 'corestore'
import type Hypercore from 'hypercore'
import type CorestoreStorage from 'hypercore-storage'
import { onTestFinished } from 'vitest'
import type { BlockFiles } from '../../../src/archive/block-files/block-files.ts'
import {
  type BlockStorageOptions,
  blockFilesOf,
  openBlockStorage,
} from '../../../src/archive/block-files/open-block-storage.ts'
import { withdrawDamaged } from '../../../src/archive/block-files/withdraw.ts'
import { blake3 } from '../../../src/system/blake3.ts'

export interface OurStore {
  readonly folder: string
  readonly storage: CorestoreStorage
  readonly store: Corestore
  readonly files: BlockFiles
}

export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'repro-blocks-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A Corestore over block files; closed when the test ends. */
export async function openOurs(
  folder?: string,
  options: BlockStorageOptions = {},
): Promise<OurStore> {
  const path = folder ?? (await newFolder())
  const storage = await openBlockStorage(path, options)
  const store = new Corestore(storage)
  await store.ready()
  withdrawDamaged(store)
  onTestFinished(() => store.close())
  return { folder: path, storage, store, files: blockFilesOf(storage)! }
}

/** A Corestore as everybody else has it. */
export async function openStock(folder?: string): Promise<Corestore> {
  const store = new Corestore(folder ?? (await newFolder()))
  await store.ready()
  onTestFinished(() => store.close())
  return store
}

export async function openCore(
  store: Corestore,
  options: Record<string, unknown> = { name: 'blocks' },
): Promise<Hypercore> {
  const core = store.get(options)
  await core.ready()
  return core
}

/** `count` blocks, some of them below the size from which they lie outside. */
export function someBlocks(count: number, bytes = 20_000): Buffer[] {
  return Array.from({ length: count }, (_, i) => randomBytes(i % 4 === 3 ? 50 + i : bytes + i))
}

/** Comparing long buffers byte by byte is slow: their digests stand for them. */
export function sums(blocks: readonly (Buffer | null)[]): (string | null)[] {
  return blocks.map(block => block && `${block.length} ${blake3(block)}`)
}

/** The sums of all blocks of a core, read one beside the other. */
export async function allSums(core: Hypercore): Promise<(string | null)[]> {
  return sums(await Promise.all(Array.from({ length: core.length }, (_, i) => core.get(i))))
}

export function replicate(a: Corestore, b: Corestore): () => void {
  const left = a.replicate(true)
  const right = b.replicate(false)
  for (const stream of [left, right]) stream.on('error', () => undefined)
  left.pipe(right).pipe(left)
  const cut = () => {
    left.destroy()
    right.destroy()
  }
  onTestFinished(cut)
  return cut
}

/** The bytes of all block files of a store on disk. */
export async function bytesOutside(folder: string): Promise<number> {
  return await bytesOf(join(folder, 'blocks'))
}

export async function bytesOf(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => [])
  let bytes = 0
  for (const name of names) bytes += (await stat(join(folder, name))).size
  return bytes
}

/** Flips a byte in the middle of a stored block. */
export async function damage(files: BlockFiles, core: Hypercore, index: number): Promise<void> {
  const [extent] = await files.extents(core, index, index + 1)
  if (extent === undefined || !('path' in extent)) throw new Error('the block lies inside')
  const file = await open(extent.path, 'r+')
  const at = extent.offset + Math.floor(extent.length / 2)
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at)
  await file.write(Buffer.of(buffer[0]! ^ 0xff), 0, 1, at)
  await file.close()
}

/** The code of what `work` throws. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'no error'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
