import type Hypercore from 'hypercore'
import { fail } from '../core/errors.ts'

/**
 * How many bytes of a core lie before a block, from the nodes of its tree. Hypercore 11.37.1 has the same inside, but
 * answers NaN for blocks behind the first root.
 */
export async function byteOffsetOf(core: Hypercore, block: number): Promise<number> {
  const { roots, storage } = core.state
  const reader = storage.read()
  const sizes: Promise<number>[] = []
  let offset = 0
  let before = 0
  for (const { index, size } of roots) {
    const leaves = leavesBelow(index)
    if (block < before + leaves) {
      for (const left of leftOf(index, leaves, block - before))
        sizes.push(reader.getTreeNode(left).then(node => node?.size ?? missing(left)))
      break
    }
    offset += size
    before += leaves
  }
  reader.tryFlush()
  for (const size of await Promise.all(sizes)) offset += size
  return offset
}

/** Nodes below a root that together cover all leaves before one of its own. */
function* leftOf(root: number, leaves: number, leaf: number): Generator<number> {
  let node = root
  for (let half = leaves / 2; half >= 1; half /= 2) {
    if (leaf < half) node -= half
    else {
      yield node - half
      node += half
      leaf -= half
    }
  }
}

function leavesBelow(node: number): number {
  let leaves = 1
  for (let rest = node; rest % 2 === 1; rest = (rest - 1) / 2) leaves *= 2
  return leaves
}

function missing(node: number): never {
  fail('STORE_INVALID', `node ${node} of the tree of the store is missing`)
}
