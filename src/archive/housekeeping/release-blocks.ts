import type Hypercore from 'hypercore'
import type { DriveBlob } from 'hyperdrive'
import { ReproError } from '../../core/errors.ts'
import { IMAGES_FOLDER, MANIFEST_PATH } from '../drive-paths.ts'
import type { DriveEntry, DriveView } from '../drive-view.ts'
import type { BlockSet } from './block-set.ts'

/** What of a release is here. */
export interface ReleaseBlocks {
  /** Bytes of its files that are here, images included. */
  readonly bytes: number
  /** Whether all its blocks are here, as far as is known here. */
  readonly whole: boolean
  /** Whether all its blocks are known here, so that `sets` have each of them. */
  readonly listed: boolean
}

/**
 * Adds the blocks of a release's files to `sets`, and those of repro's own records to `always`.
 * What can not be looked up here is passed over and counts as not here.
 * Throws STORE_INVALID where what is here is damaged.
 */
export async function addReleaseBlocks(
  view: DriveView,
  core: Hypercore,
  sets: readonly BlockSet[],
  always: BlockSet,
): Promise<ReleaseBlocks> {
  let bytes = 0
  let whole = true
  let listed = true
  try {
    for await (const entry of view.list('')) {
      if (entry.blob === null) continue
      const isOurs = isRecord(entry)
      const found = await addBlob(view, core, entry.blob, isOurs ? [always] : sets)
      if (!isOurs) bytes += found.bytes
      whole &&= found.whole
      listed &&= found.listed
    }
  } catch (error) {
    if (!isAbsent(error)) throw error
    whole = false
    listed = false
  }
  return { bytes, whole, listed }
}

/** Adds the blocks of a blob, and those that its block map names. */
async function addBlob(
  view: DriveView,
  core: Hypercore,
  blob: DriveBlob,
  sets: readonly BlockSet[],
): Promise<ReleaseBlocks> {
  const { blockOffset, blockLength, byteLength } = blob
  const end = Math.min(blockOffset + blockLength, core.length)
  for (const set of sets) set.add(blockOffset, end)
  const whole = byteLength === 0 || (await core.has(blockOffset, blockOffset + blockLength))
  if (!blob.blockMap) return { bytes: whole ? byteLength : 0, whole, listed: true }
  if (!whole) return { bytes: 0, whole, listed: false }
  let bytes = 0
  let all = true
  for (const { index, byteLength: size } of await view.blockMap(blob, Number.MAX_SAFE_INTEGER)) {
    for (const set of sets) set.add(index, index + 1)
    if (await core.has(index)) bytes += size
    else all = false
  }
  return { bytes, whole: all, listed: true }
}

/** Records, manifests and indexes are small, and without them nobody could tell what a release was. */
function isRecord({ path }: DriveEntry): boolean {
  return (
    path === MANIFEST_PATH || (path.startsWith('.repro/') && !path.startsWith(`${IMAGES_FOLDER}/`))
  )
}

const isAbsent = (error: unknown) => error instanceof ReproError && error.code === 'NO_PEER'
