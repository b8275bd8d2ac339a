import { createBLAKE2b } from 'hash-wasm'
import type Hypercore from 'hypercore'
import { fail } from '../../core/errors.ts'
import { isDamage, storeError } from '../store-errors.ts'
import type { BlockRun } from './held-blocks.ts'

const AT_ONCE = 16
/** Hypercore's leaf: this byte, the length in 8 bytes (little endian), the block; BLAKE2b-256. */
const LEAF = 0

const blake2b = createBLAKE2b(256)

/**
 * The blocks of `runs` that are here, but cannot be read or are not those of the signed tree. A read that fails is tried
 * once more: a disk that stumbles is no damage. Throws WRITE_FAILED where the database itself cannot be read.
 */
export async function* findDamage(
  core: Hypercore,
  runs: Iterable<BlockRun>,
  signal?: AbortSignal,
): AsyncGenerator<number> {
  let batch: number[] = []
  const check = async () => {
    signal?.throwIfAborted()
    const bad = await Promise.all(batch.map(index => isBad(core, index)))
    const found = batch.filter((_, i) => bad[i])
    batch = []
    return found
  }
  for (const { start, end } of runs)
    for (let index = start; index < end; index++) {
      batch.push(index)
      if (batch.length === AT_ONCE) yield* await check()
    }
  yield* await check()
}

async function isBad(core: Hypercore, index: number): Promise<boolean> {
  const block = (await read(core, index)) ?? (await read(core, index))
  if (block === null) return core.core.bitfield.get(index)
  const reader = core.state.storage.read()
  const found = reader.getTreeNode(2 * index)
  reader.tryFlush()
  const leaf = await found.catch((error: unknown) => treeDamaged(core, error))
  // Without its leaf, a block can be neither proven nor served.
  return leaf === null || !(await leafHash(block)).equals(leaf.hash)
}

/** Null for a block that is not here or cannot be read. */
async function read(core: Hypercore, index: number): Promise<Buffer | null> {
  try {
    return await core.get(index, { wait: false, raw: true })
  } catch (error) {
    if (isDamage(error)) return null
    throw storeError(error, core.key.toString('hex'))
  }
}

async function leafHash(block: Buffer): Promise<Buffer> {
  const header = Buffer.alloc(9)
  header[0] = LEAF
  header.writeBigUInt64LE(BigInt(block.length), 1)
  const hasher = (await blake2b).init().update(header).update(block)
  return Buffer.from(hasher.digest('hex'), 'hex')
}

function treeDamaged(core: Hypercore, cause: unknown): never {
  fail('STORE_INVALID', 'the database of the store is damaged on disk', {
    hints: ['repro repair store makes it anew, from what can be read and from peers'],
    data: { damaged: true, core: core.key.toString('hex') },
    cause,
  })
}
