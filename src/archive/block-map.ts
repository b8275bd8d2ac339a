import { fail } from '../core/errors.ts'

/** One block of a blob whose blocks lie anywhere before its map. */
export interface MappedBlock {
  readonly index: number
  readonly byteLength: number
}

/** Hyperblobs writes at most this many blocks of a map, with this many entries each. */
export const MAX_MAP_BLOCKS = 64
const MAX_ENTRIES = 8192

/**
 * The entries of a block map as Hyperblobs writes it, each part by itself; the map begins at block `mapStart`.
 * Throws HASH_MISMATCH for a map that no writer makes, or of more than `maxBytes` bytes together, before any of them is read.
 */
export function decodeBlockMap(
  parts: readonly Uint8Array[],
  mapStart: number,
  maxBytes: number,
): MappedBlock[] {
  let left = maxBytes
  return parts.flatMap(part => {
    const next = uintReader(part)
    if (next() !== 0) malformed('has an unknown version')
    const count = next()
    if (count > MAX_ENTRIES) malformed(`has ${count} blocks in one part`)
    return Array.from({ length: count }, (): MappedBlock => {
      const index = next()
      const byteLength = next()
      if (index >= mapStart) malformed('names a block that does not lie before it')
      if (byteLength === 0) malformed('names an empty block')
      left -= byteLength
      if (left < 0) malformed(`names more than ${maxBytes} bytes`)
      return { index, byteLength }
    })
  })
}

/** Unsigned integers of 1, 3, 5 or 9 bytes, as compact-encoding writes them. */
function uintReader(bytes: Uint8Array): () => number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const take = (width: number): number => {
    if (at + width > bytes.length) malformed('is cut off')
    const start = at
    at += width
    if (width === 1) return view.getUint8(start)
    if (width === 2) return view.getUint16(start, true)
    if (width === 4) return view.getUint32(start, true)
    return Number(view.getBigUint64(start, true))
  }
  return () => {
    const first = take(1)
    if (first < 0xfd) return first
    return take(first === 0xfd ? 2 : first === 0xfe ? 4 : 8)
  }
}

/** Throws HASH_MISMATCH about a block map. */
export function malformed(what: string): never {
  fail('HASH_MISMATCH', `the block map of a file ${what}`, {
    hints: ['the release contradicts itself: whoever published it used no honest tool'],
  })
}

/** A file of more blocks cannot have a map. */
export const MAX_MAPPED_BLOCKS = MAX_MAP_BLOCKS * MAX_ENTRIES

/** The parts of a block map, byte for byte as Hyperblobs 2.12.1 writes them; each becomes a block. */
export function encodeBlockMap(blocks: readonly MappedBlock[]): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < blocks.length; at += MAX_ENTRIES) {
    const some = blocks.slice(at, at + MAX_ENTRIES)
    const part = uintWriter(10 + 18 * some.length)
    part.put(0)
    part.put(some.length)
    for (const { index, byteLength } of some) {
      part.put(index)
      part.put(byteLength)
    }
    parts.push(part.bytes())
  }
  return parts
}

function uintWriter(maxBytes: number) {
  const buffer = Buffer.allocUnsafe(maxBytes)
  let at = 0
  return {
    put(value: number) {
      if (value < 0xfd) at = buffer.writeUInt8(value, at)
      else if (value <= 0xffff) at = buffer.writeUInt16LE(value, buffer.writeUInt8(0xfd, at))
      else if (value <= 0xffffffff) at = buffer.writeUInt32LE(value, buffer.writeUInt8(0xfe, at))
      else at = buffer.writeBigUInt64LE(BigInt(value), buffer.writeUInt8(0xff, at))
    },
    bytes: () => Buffer.from(buffer.subarray(0, at)),
  }
}
