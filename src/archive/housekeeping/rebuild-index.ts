import { digestsOf } from '../block-digests.ts'
import { blockFilesOf } from '../block-files/open-block-storage.ts'
import { BlockIndex } from '../block-index.ts'
import type { KeptBundle } from './survey.ts'

/** Makes the block index of a bundle anew from what its store notes; gives the number of blocks that it knows. */
export async function rebuildIndex(
  home: string,
  bundle: KeptBundle,
  signal?: AbortSignal,
): Promise<number> {
  const core = (await bundle.drive.getBlobs())?.core
  await BlockIndex.forget(home, bundle.key)
  if (core === undefined || core.length === 0) return 0
  const digests = digestsOf(core, blockFilesOf(core.state.storage))
  const index = await BlockIndex.open(home, bundle.key, core, digests, signal)
  await index.save()
  return index.table.end - index.table.base
}
