import type Hypercore from 'hypercore'
import type { CorePeer } from 'hypercore'
import type { BlockSet } from './block-set.ts'
import { runsWithin } from './held-blocks.ts'

/** Whether a connected peer says that it has a block. */
export function peerHas(peer: CorePeer, index: number): boolean {
  return index < peer.remoteContiguousLength || peer.remoteBitfield.get(index) === true
}

/** How many blocks that are here and not in `kept` no connected peer says to have. */
export function blocksOnlyHere(core: Hypercore, kept: BlockSet): number {
  const below = Math.max(0, ...core.peers.map(peer => peer.remoteContiguousLength))
  let lonely = 0
  for (const { start, end } of runsWithin(core, kept, false))
    for (let index = Math.max(start, below); index < end; index++)
      if (!core.peers.some(peer => peer.remoteBitfield.get(index))) lonely++
  return lonely
}
