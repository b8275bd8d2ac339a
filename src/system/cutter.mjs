// Content-defined blocks with a gear hash, after FastCDC (Xia et al., USENIX ATC 2016); docs/format/blocks.md is normative.
// Plain JavaScript, because threads run it and Node 20 runs no TypeScript. Types: cutter.d.mts.
import { gearScanModule, SCRATCH_AT, SCRATCH_BYTES, STRIDE, WINDOW } from './gear-scan.mjs'

export const MIN_BLOCK = 64 << 10
export const MAX_BLOCK = 512 << 10
/** A place is a cut when its hash is below this: one of 65,536 places. */
export const LIMIT = 2 ** 16
export const AVERAGE_BLOCK = MIN_BLOCK + 2 ** 32 / LIMIT

const ZEROS = Buffer.alloc(MAX_BLOCK)

/** @param {(bytes: Uint8Array) => Uint8Array} blake3 */
export function gearTable(blake3) {
  const name = Buffer.from('repro-gear-v0 ')
  return Uint32Array.from({ length: 256 }, (_, i) => {
    name[name.length - 1] = i
    return Buffer.from(blake3(name)).readUInt32LE(0)
  })
}

/** @param {Uint8Array} bytes */
export function isZeros(bytes, from, to) {
  if (bytes[from] !== 0 || bytes[(from + to) >>> 1] !== 0 || bytes[to - 1] !== 0) return false
  return ZEROS.compare(bytes, from, to, 0, to - from) === 0
}

/** The scan in plain JavaScript: a place in [from, to] with a hash below LIMIT, or -1. */
export function scanPlain(table) {
  return (bytes, from, to) => {
    let hash = hashAt(table, bytes, from)
    if (hash >>> 0 < LIMIT) return from
    for (let i = from; i < to; i++) {
      hash = ((hash << 1) + table[bytes[i]]) | 0
      if (hash >>> 0 < LIMIT) return i + 1
    }
    return -1
  }
}

function hashAt(table, bytes, place) {
  let hash = 0
  for (let i = place - WINDOW; i < place; i++) hash = ((hash << 1) + table[bytes[i]]) | 0
  return hash
}

/** The same scan in WebAssembly, over copies of the bytes in its own memory. */
export function scanWasm(table) {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(gearScanModule()))
  const { memory, scan, hash } = exports
  new Uint32Array(memory.buffer, 0, 256).set(table)
  const scratch = new Uint8Array(memory.buffer, SCRATCH_AT, SCRATCH_BYTES)
  const plain = scanPlain(table)
  return (bytes, from, to) => {
    const first = hashAt(table, bytes, from)
    if (first >>> 0 < LIMIT) return from
    hash.value = first
    let at = from
    for (let piece = SCRATCH_BYTES; to - at >= STRIDE; at += piece) {
      piece = Math.min(SCRATCH_BYTES, to - at - ((to - at) % STRIDE))
      scratch.set(bytes.subarray(at, at + piece))
      const found = scan(SCRATCH_AT, SCRATCH_AT + piece, LIMIT)
      if (found !== -1) return at + found - SCRATCH_AT
    }
    return at < to ? plain(bytes, at, to) : -1
  }
}

/**
 * Gives the function that cuts: (bytes, from, to) is the end of the block that begins at `from`. `to` must be the end
 * of the data, or at least MAX_BLOCK further.
 */
export function createCutter(scan) {
  return (bytes, from, to) => {
    const last = Math.min(to, from + MAX_BLOCK)
    if (last - from <= MIN_BLOCK) return last
    if (isZeros(bytes, from, last)) return last
    const found = scan(bytes, from + MIN_BLOCK, last)
    return found === -1 ? last : found
  }
}
