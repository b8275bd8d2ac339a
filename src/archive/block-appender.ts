import type Hypercore from 'hypercore'
import { enterPhase } from '../system/phase.ts'
import { type BlockSource, noteBlock } from './block-files/block-notes.ts'
import type { BlockTable } from './block-table.ts'
import { GROUP_BYTES } from './limits.ts'

/** A block as it was read, with the BLAKE3 of its bytes. */
export interface ReadBlock {
  readonly bytes: Buffer
  readonly blake3: Buffer
  /** Its hash as a leaf of the core's tree, where that is known. */
  readonly leaf?: Buffer | undefined
  /** Where the same bytes stay, when they are not to be copied. */
  readonly source?: BlockSource
}

/**
 * One append; the next is gathered while it is written. Whoever reads has memory for few slabs and waits for them:
 * it must never wait for a group that waits for it.
 */
const GROUP_SLABS = 2

interface Group {
  readonly start: number
  readonly blocks: ReadBlock[]
  readonly done: (() => void)[]
  bytes: number
}

/** Appends blocks to a core in bulk, and knows which number each gets before it is written. One per core at a time. */
export class BlockAppender {
  readonly #core: Hypercore
  readonly #table: BlockTable
  #group: Group
  /** What is being written now. */
  #writing: { readonly group: Group; readonly end: Promise<void> } | null = null
  #failed: { readonly error: unknown } | null = null
  #byteLength: number

  constructor(core: Hypercore, table: BlockTable) {
    this.#core = core
    this.#table = table
    this.#group = newGroup(core.length)
    this.#byteLength = core.byteLength
  }

  /** Number of the next block, and its place among the bytes of the core. */
  get length(): number {
    return this.#group.start + this.#group.blocks.length
  }
  get byteLength(): number {
    return this.#byteLength
  }

  /** Takes a block, and gives its number. It is written later: `settle` once for all that was taken. */
  push(block: ReadBlock): number {
    const index = this.length
    this.#group.blocks.push(block)
    this.#group.bytes += block.bytes.length
    this.#byteLength += block.bytes.length
    this.#table.push(block.blake3)
    return index
  }

  /** The BLAKE3 of a block that is not written yet, else null. */
  pending(index: number): Buffer | null {
    for (const group of [this.#group, this.#writing?.group]) {
      const block = group?.blocks[index - group.start]
      if (block) return block.blake3
    }
    return null
  }

  /** Waits until there is room for more. `done` is called when all that was pushed before is written. */
  async settle(done: () => void): Promise<void> {
    if (this.#group.blocks.length === 0 && !this.#writing) done()
    else this.#group.done.push(done)
    if (this.#group.bytes >= GROUP_BYTES || this.#group.done.length >= GROUP_SLABS)
      await this.#write()
  }

  /** Waits until everything is in the core. */
  async flush(): Promise<void> {
    await this.#write()
    await this.#writing?.end
    if (this.#failed) throw this.#failed.error
  }

  /** Begins to write the group; waits for the one before it. */
  async #write(): Promise<void> {
    await this.#writing?.end
    if (this.#failed) throw this.#failed.error
    const group = this.#group
    if (group.blocks.length === 0 && group.done.length === 0) return
    this.#group = newGroup(group.start + group.blocks.length)
    const end = this.#append(group).then(
      () => {
        this.#writing = null
        for (const done of group.done) done()
      },
      (error: unknown) => {
        this.#failed = { error }
      },
    )
    this.#writing = { group, end }
  }

  async #append(group: Group): Promise<void> {
    if (group.blocks.length === 0) return
    enterPhase('append')
    for (const { bytes, blake3, leaf, source } of group.blocks)
      noteBlock(bytes, { blake3, ...(leaf ? { leaf } : {}), ...(source ? { source } : {}) })
    await this.#core.append(group.blocks.map(block => block.bytes))
  }
}

const newGroup = (start: number): Group => ({ start, blocks: [], done: [], bytes: 0 })
