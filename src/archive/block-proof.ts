import type Hypercore from 'hypercore'
import type { DriveBlob } from 'hyperdrive'
import type { BlockFiles } from './block-files/block-files.ts'
import { decodeBlockMap } from './block-map.ts'
import { UsedBlocks } from './used-blocks.ts'

const BLOCKS_AT_ONCE = 64

export interface ProofOptions {
  readonly core: Hypercore
  /** Null where the store keeps all blocks in its database. */
  readonly files: BlockFiles | null
  /** Blocks from here on are in no release: a power cut may have left a pointer without its bytes. */
  readonly since: number
  /** Reads every block before it counts as stored. */
  readonly all: boolean
}

/**
 * Whether blocks from before a publish hold what the store says of them. What no release has yet is read before it counts,
 * as is what was found damaged; the blocks of releases were durable before these were told, and are read with `all`.
 */
export class BlockProof {
  readonly #options: ProofOptions
  /** Blocks from here on were stored by this very publish. */
  readonly #end: number
  readonly #proven = new UsedBlocks(0)

  constructor(options: ProofOptions) {
    this.#options = options
    this.#end = options.core.length
  }

  /** Those of `indexes` that are not here as the store says. */
  async damaged(indexes: readonly number[]): Promise<number[]> {
    const { core, files, since, all } = this.#options
    const old = indexes.filter(index => index < this.#end && !this.#proven.has(index))
    const doubtful = old.filter(index => all || index >= since)
    const intact = new Set<number>()
    for (let at = 0; at < doubtful.length; at += BLOCKS_AT_ONCE) {
      const some = doubtful.slice(at, at + BLOCKS_AT_ONCE)
      const good = files ? await files.intact(core, some) : await readable(core, some)
      for (const [i, index] of some.entries()) if (good[i]) intact.add(index)
    }
    for (const index of intact) this.#proven.add(index, index + 1)
    const rest = doubtful.length < old.length ? old.filter(one => !doubtful.includes(one)) : []
    const known = files && rest.length > 0 ? await files.knownDamaged(core, rest) : []
    return [...doubtful.filter(index => !intact.has(index)), ...known]
  }

  /** Whether all blocks of a blob that a publish left, which was cut off, are here. */
  async holds({ blockOffset, blockLength, blockMap }: DriveBlob): Promise<boolean> {
    const end = blockOffset + blockLength
    if (!(await this.#holdsRun(blockOffset, end))) return false
    if (!blockMap) return true
    const parts: Buffer[] = []
    for (let index = blockOffset; index < end; index++) {
      const part = await this.#options.core.get(index, { wait: false }).catch(() => null)
      if (!part) return false
      parts.push(part)
    }
    const indexes: number[] = []
    for (const { index } of decodeBlockMap(parts, blockOffset, Number.MAX_SAFE_INTEGER))
      indexes.push(index)
    return (await this.damaged(indexes)).length === 0
  }

  async #holdsRun(start: number, end: number): Promise<boolean> {
    for (let at = start; at < end; at += BLOCKS_AT_ONCE) {
      const count = Math.min(BLOCKS_AT_ONCE, end - at)
      if ((await this.damaged(Array.from({ length: count }, (_, i) => at + i))).length > 0)
        return false
    }
    return true
  }
}

async function readable(core: Hypercore, indexes: readonly number[]): Promise<boolean[]> {
  return await Promise.all(
    indexes.map(async index => {
      const block = await core.get(index, { wait: false }).catch(() => null)
      return block !== null
    }),
  )
}
