/** Blocks of this size and more lie outside of RocksDB. */
export const OUTSIDE_BYTES = 4096
/** No block that Hypercore accepts is larger; a longer pointer is damaged. */
export const MAX_BLOCK_BYTES = 16 * 1024 * 1024
export const POINTER_BYTES = 49

const INLINE = 0
const FILE = 1
const SOURCE = 2

/** Where a block lies outside of RocksDB: `id` names a block file, or a file of the author's. */
export interface Pointer {
  readonly kind: 'file' | 'source'
  readonly id: number
  readonly offset: number
  readonly length: number
  readonly blake3: Buffer
}

export type StoredValue =
  | { readonly kind: 'inline'; readonly bytes: Buffer }
  | Pointer
  | { readonly kind: 'invalid' }

/**
 * Every block value in RocksDB begins with a tag that we write, so that no bytes of a stranger can
 * pass for a pointer (docs/format/store.md).
 */
export function encodeInline(bytes: Uint8Array): Buffer {
  const value = Buffer.allocUnsafe(bytes.length + 1)
  value[0] = INLINE
  value.set(bytes, 1)
  return value
}

export function encodePointer(pointer: Pointer): Buffer {
  const value = Buffer.allocUnsafe(POINTER_BYTES)
  value[0] = pointer.kind === 'file' ? FILE : SOURCE
  value.writeUInt32LE(pointer.id, 1)
  value.writeBigUInt64LE(BigInt(pointer.offset), 5)
  value.writeUInt32LE(pointer.length, 13)
  value.set(pointer.blake3, 17)
  return value
}

/** Never throws: what is no value of ours is `invalid`. */
export function decodeValue(value: Buffer): StoredValue {
  if (value[0] === INLINE) return { kind: 'inline', bytes: value.subarray(1) }
  if ((value[0] !== FILE && value[0] !== SOURCE) || value.length !== POINTER_BYTES)
    return { kind: 'invalid' }
  const offset = value.readBigUInt64LE(5)
  const length = value.readUInt32LE(13)
  if (offset > Number.MAX_SAFE_INTEGER || length > MAX_BLOCK_BYTES) return { kind: 'invalid' }
  return {
    kind: value[0] === FILE ? 'file' : 'source',
    id: value.readUInt32LE(1),
    offset: Number(offset),
    length,
    blake3: value.subarray(17),
  }
}
