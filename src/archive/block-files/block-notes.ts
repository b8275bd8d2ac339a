import { noteLeaf } from './leaf-notes.ts'

/** What is known about a buffer that is about to be appended. */
export interface BlockNote {
  /** BLAKE3 of the bytes, which saves hashing them again. */
  readonly blake3?: Buffer
  /** Their hash as a leaf of a core's tree (32 bytes; INTERNAL else), which saves computing that. */
  readonly leaf?: Buffer
  /** Where the same bytes lie in a file of the author's: they are not copied, the block points there. */
  readonly source?: BlockSource
}

export interface BlockSource {
  /** Absolute, without links on its last part. */
  readonly path: string
  /** `formatFileState` of the file when it was read. */
  readonly state: string
  readonly offset: number
}

type Notes = Omit<BlockNote, 'leaf'>

const notes = new WeakMap<Uint8Array, Notes>()

/**
 * Notes what is known about `bytes`, the very buffer that is appended next. It has no effect on
 * an encrypted core, which stores another buffer, nor on a store without block files.
 */
export function noteBlock(bytes: Uint8Array, note: BlockNote): void {
  const { leaf, ...rest } = note
  if (leaf) noteLeaf(bytes, leaf)
  notes.set(bytes, { ...notes.get(bytes), ...rest })
}

export function takeNote(bytes: Uint8Array): Notes | undefined {
  const note = notes.get(bytes)
  notes.delete(bytes)
  return note
}
