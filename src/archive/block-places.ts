import type Hypercore from 'hypercore'
import type { FileEntry } from '../../schemas/index.ts'
import type { Extent, LocatedFile } from '../core/release-source.ts'
import type { BlockExtent } from './block-files/extents.ts'
import { blockFilesOf } from './block-files/open-block-storage.ts'

/** Where these blocks of a core lie; null for one that is not here. */
export type FindBlocks = (indexes: readonly number[]) => Promise<readonly (BlockExtent | null)[]>

/** A file and the blocks that hold it, in order: runs of neighbours. */
export interface FileBlocks {
  readonly file: FileEntry
  readonly runs: readonly { readonly start: number; readonly end: number }[]
}

/** Finds blocks of a core; null where they cannot be had from the disk as they are. */
export function blockFinder(core: Hypercore): FindBlocks | null {
  const { state, encryption } = core as unknown as {
    state: { storage: { db: unknown } }
    encryption: unknown
  }
  const files = encryption ? null : blockFilesOf(state.storage)
  return files && (indexes => files.extentsAt(core, indexes))
}

/** Blocks asked for at once, and files told at once. */
const SLICE_BLOCKS = 4096
const SLICE_FILES = 1024
/** A file has one small block, its last. One of many, or of the same many times, is read block by block instead. */
const MAX_INLINE_BYTES = 1 << 20

/**
 * Where the bytes of files lie, by their blocks, in the order of the blocks: so what holds them is read from front to
 * back. A file of which a block is not here has no extents, nor has one of very many small blocks: they would all be
 * in memory at once.
 */
export async function* placesOf(
  files: readonly FileBlocks[],
  find: FindBlocks,
): AsyncGenerator<readonly LocatedFile[]> {
  const sorted = [...files].sort((a, b) => (a.runs[0]?.start ?? 0) - (b.runs[0]?.start ?? 0))
  for (const group of groupsOf(sorted)) {
    const places = group.map(({ file }) => ({ file, extents: [] as Extent[] | null }))
    const inline = group.map(() => 0)
    let indexes: number[] = []
    let owners: number[] = []
    const settle = async () => {
      const found = await find(indexes)
      for (const [i, block] of found.entries()) {
        const owner = owners[i]!
        const place = places[owner]!
        if (block && 'bytes' in block) inline[owner]! += block.length
        if (block === null || inline[owner]! > MAX_INLINE_BYTES) place.extents = null
        else if (place.extents) append(place.extents, block)
      }
      indexes = []
      owners = []
    }
    for (const [owner, { runs }] of group.entries()) {
      for (const { start, end } of runs)
        for (let index = start; index < end && places[owner]!.extents !== null; index++) {
          indexes.push(index)
          owners.push(owner)
          if (indexes.length === SLICE_BLOCKS) await settle()
        }
    }
    if (indexes.length > 0) await settle()
    yield places
  }
}

/** Files that are told together: so many, or of so many blocks. */
function* groupsOf(files: readonly FileBlocks[]): Generator<readonly FileBlocks[]> {
  let group: FileBlocks[] = []
  let blocks = 0
  for (const file of files) {
    group.push(file)
    for (const { start, end } of file.runs) blocks += end - start
    if (group.length < SLICE_FILES && blocks < SLICE_BLOCKS) continue
    yield group
    group = []
    blocks = 0
  }
  if (group.length > 0) yield group
}

/** Adds a block to those before it; neighbours on disk are one. */
function append(extents: Extent[], block: BlockExtent): void {
  if ('bytes' in block) {
    extents.push({ bytes: block.bytes })
    return
  }
  const { path, offset, length } = block
  const last = extents.at(-1)
  if (last && 'path' in last && last.path === path && last.offset + last.length === offset)
    extents[extents.length - 1] = { path, offset: last.offset, length: last.length + length }
  else extents.push({ path, offset, length })
}
