import type Hypercore from 'hypercore'
import { blake3Digest } from '../system/blake3.ts'
import type { BlockFiles } from './block-files/block-files.ts'
import type { DigestsOf } from './block-index.ts'

/** The digests of a core's blocks as its store has them; a store without block files reads the blocks. */
export function digestsOf(core: Hypercore, files: BlockFiles | null): DigestsOf {
  if (files) return indexes => files.digests(core, indexes)
  return async indexes => {
    const digests: (Buffer | null)[] = []
    for (const index of indexes) {
      const block = (await core.has(index)) ? await core.get(index, { wait: false }) : null
      digests.push(block && blake3Digest(block))
    }
    return digests
  }
}
