import type { FindBlocks } from './block-places.ts'

/** What a block of a drive's Bee put. */
export interface BeePut {
  readonly seq: number
  /** Path in the drive, with its leading slash. */
  readonly key: string
  readonly value: unknown
}

const SLICE_BLOCKS = 4096
const FILES_PREFIX = Buffer.from('files\0')
/** Fields of a Bee's block: the key, and the value that was put under it. */
const KEY = 2
const VALUE = 3
/** Wire type of a field with a length before its bytes. */
const BYTES = 2

/**
 * Reads all blocks of a Bee up to `length` at once and gives what they put, oldest first, and null for each block that
 * is not here. Far faster than walking the tree, but it says less: what was put may be replaced or deleted by a
 * later block, and what is malformed is left out. Good for a guess that is checked later.
 */
export async function* scanBee(find: FindBlocks, length: number): AsyncGenerator<BeePut | null> {
  // The first block is the Bee's header.
  for (let start = 1; start < length; start += SLICE_BLOCKS) {
    const count = Math.min(SLICE_BLOCKS, length - start)
    const blocks = await find(Array.from({ length: count }, (_, i) => start + i))
    for (const [i, block] of blocks.entries()) {
      if (block === null || !('bytes' in block)) yield null
      else {
        const put = decodePut(block.bytes, start + i)
        if (put) yield put
      }
    }
  }
}

function decodePut(block: Buffer, seq: number): BeePut | null {
  const fields = fieldsOf(block)
  const key = fields.get(KEY)
  const value = fields.get(VALUE)
  if (!key || !value || !key.subarray(0, FILES_PREFIX.length).equals(FILES_PREFIX)) return null
  try {
    const path = key.toString('utf8', FILES_PREFIX.length)
    return { seq, key: path, value: JSON.parse(value.toString('utf8')) as unknown }
  } catch {
    return null
  }
}

/** The fields of a protocol buffer that have a length; empty for what is none. */
function fieldsOf(bytes: Buffer): Map<number, Buffer> {
  const fields = new Map<number, Buffer>()
  let at = 0
  const varint = () => {
    let value = 0
    for (let scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at++]!
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    return Number.NaN
  }
  while (at < bytes.length) {
    const tag = varint()
    const size = varint()
    // A number of a batch: its value was just read.
    if (tag % 8 === 0) continue
    if (tag % 8 !== BYTES || !(at + size <= bytes.length)) break
    fields.set(tag >>> 3, bytes.subarray(at, at + size))
    at += size
  }
  return fields
}
