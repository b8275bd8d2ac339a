// Content-defined blocks after FastCDC (Xia et al., USENIX ATC 2016); docs/format/blocks.md is normative.
// Plain JavaScript, because threads run it and Node 20 runs no TypeScript. Types: cutter.d.mts.
import { gearScanModule, SCRATCH_AT, SCRATCH_BYTES, UNROLL } from './gear-scan.mjs'

export const MIN_BLOCK = 64 << 10
export const NORMAL_BLOCK = 128 << 10
export const MAX_BLOCK = 512 << 10
/** A place is a cut when its hash is below these: before the normal size, and from there on. */
export const HARD = 2 ** 13
export const EASY = 2 ** 17
/** The hash of a place covers this many bytes before it. */
export const WINDOW = 32

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

/** The scan in plain JavaScript: a place in [from, to], after a byte with a hash below `limit`; else -1. */
export function scanPlain(table) {
  return (bytes, from, to, limit) => {
    let hash = 0
    for (let i = from - WINDOW; i < from; i++) hash = (hash << 1) + table[bytes[i]]
    if (hash >>> 0 < limit) return from
    for (let i = from; i < to; i++) {
      hash = ((hash << 1) + table[bytes[i]]) | 0
      if (hash >>> 0 < limit) return i + 1
    }
    return -1
  }
}

/** The same scan in WebAssembly, over copies of the bytes in its own memory. */
export function scanWasm(table) {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(gearScanModule()))
  const { memory, scan, hash } = exports
  new Uint32Array(memory.buffer, 0, 256).set(table)
  const scratch = new Uint8Array(memory.buffer, SCRATCH_AT, SCRATCH_BYTES)
  const plain = scanPlain(table)
  return (bytes, from, to, limit) => {
    let at = from - WINDOW
    hash.value = 0
    // The first bytes only fill the window: no place before `from` is looked at.
    scratch.set(bytes.subarray(at, from))
    scan(SCRATCH_AT, SCRATCH_AT + WINDOW, 0)
    if (hash.value >>> 0 < limit) return from
    for (at = from; at + UNROLL <= to; ) {
      const piece = Math.min(SCRATCH_BYTES, (to - at) & -UNROLL)
      scratch.set(bytes.subarray(at, at + piece))
      const found = scan(SCRATCH_AT, SCRATCH_AT + piece, limit)
      if (found !== -1) return at + found - SCRATCH_AT
      at += piece
    }
    return at < to ? plain(bytes, at, to, limit) : -1
  }
}

/**
 * Gives the function that cuts: (bytes, from, to) is the end of the block that begins at `from`. `to` must be the end
 * of the data, or at least MAX_BLOCK further.
 */
export function createCutter(scan) {
  return (bytes, from, to) => {
    const left = to - from
    if (left <= MIN_BLOCK) return to
    const longest = Math.min(left, MAX_BLOCK)
    if (isZeros(bytes, from, from + longest)) return from + longest
    const [normal, last] = [from + Math.min(longest, NORMAL_BLOCK), from + longest]
    const early = scan(bytes, from + MIN_BLOCK, normal - 1, HARD)
    if (early !== -1) return early
    const late = normal === last ? -1 : scan(bytes, normal, last, EASY)
    return late === -1 ? last : late
  }
}
