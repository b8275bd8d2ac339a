// The inner loop of the cutter as a WebAssembly module, written out instruction by instruction, so that no binary lies
// in the repository. Memory: the gear table (256 words) at 0, the bytes at SCRATCH_AT. In words:
//
//   scan(p, end, limit): i32
//     a = hash, b = window(p + LANE)      hash is an exported global: the hash of the place p; the other is filled first
//     while (p < end):                    two lanes, because each step of one has to wait for the step before
//       found = 0
//       LANE times: a = (a << 1) + table[memory[p]];          if (a <u limit) return p + 1
//                   b = (b << 1) + table[memory[p + LANE]];   if (b <u limit && !found) found = p + 1 + LANE
//                   p++
//       if (found) return found
//       a = b, p += LANE
//     hash = a; return -1
//
// UNROLL steps stand one after the other: `end - p` must be a multiple of STRIDE.

export const SCRATCH_AT = 1024
const LANE = 2048
/** What a scan goes over at a time. */
export const STRIDE = 2 * LANE
export const SCRATCH_BYTES = 4 * STRIDE
/** The hash of a place covers this many bytes before it: older ones are shifted out. */
export const WINDOW = 32
const UNROLL = 32
const PAGES = 1

const I32 = 0x7f
/** Parameters, then locals. */
const [P, END, LIMIT, A, B, FOUND, STOP] = [0, 1, 2, 3, 4, 5, 6]
const LOCALS = 4

const unsigned = value => {
  const bytes = []
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128)
  return [...bytes, value]
}
/** i32.const takes a signed number: bit 6 of the last byte is the sign. */
const constant = value => [0x41, ...(value & 64 ? [value | 128, 0] : unsigned(value))]
const minusOne = [0x41, 0x7f]
const get = local => [0x20, local]
const set = local => [0x21, local]
const tee = local => [0x22, local]
const getHash = [0x23, 0]
const setHash = [0x24, 0]
const isZero = [0x45]
const below = [0x49] // unsigned
const add = [0x6a]
const shiftLeft = [0x74]
const byteAt = offset => [0x2d, 0, ...unsigned(offset)]
const wordAt = offset => [0x28, 2, ...unsigned(offset)]
const ifThen = [0x04, 0x40]
const loop = [0x03, 0x40]
const againIf = [0x0d, 0]
const end = [0x0b]
const leave = [0x0f]

/** hash = (hash << 1) + table[memory[p + offset]] */
const roll = (hash, offset) => [
  ...[...get(hash), ...constant(1), ...shiftLeft],
  ...[...get(P), ...byteAt(offset), ...constant(2), ...shiftLeft, ...wordAt(0), ...add],
  ...set(hash),
]
const sum = (local, value) => [...get(local), ...constant(value), ...add]
const isCut = hash => [...get(hash), ...get(LIMIT), ...below]
const times = (count, make) => Array.from({ length: count }, (_, k) => make(k)).flat()

const step = k => [
  ...[...roll(A, k), ...isCut(A), ...ifThen, ...sum(P, k + 1), ...leave, ...end],
  ...[...roll(B, k + LANE), ...isCut(B), ...ifThen, ...get(FOUND), ...isZero],
  ...[...ifThen, ...sum(P, k + 1 + LANE), ...set(FOUND), ...end, ...end],
]

const scanBody = [
  ...[...getHash, ...set(A), ...loop],
  ...[...constant(0), ...set(FOUND), ...constant(0), ...set(B)],
  ...times(WINDOW, k => roll(B, LANE - WINDOW + k)),
  ...[...sum(P, LANE), ...set(STOP), ...loop],
  ...times(UNROLL, step),
  ...[...sum(P, UNROLL), ...tee(P), ...get(STOP), ...below, ...againIf, ...end],
  ...[...get(FOUND), ...ifThen, ...get(FOUND), ...leave, ...end],
  ...[...get(B), ...set(A), ...sum(P, LANE), ...tee(P), ...get(END), ...below, ...againIf, ...end],
  ...[...get(A), ...setHash, ...minusOne, ...end],
]

const vector = items => [...unsigned(items.length), ...items.flat()]
const sized = bytes => [...unsigned(bytes.length), ...bytes]
const section = (id, items) => [id, ...sized(vector(items))]
const text = name => sized([...Buffer.from(name)])

/** The module's bytes; it exports `scan`, `memory` and `hash`. */
export function gearScanModule() {
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [[0x60, ...vector([[I32], [I32], [I32]]), ...vector([[I32]])]]),
    ...section(3, [[0]]),
    ...section(5, [[0x00, PAGES]]),
    ...section(6, [[I32, 0x01, ...constant(0), ...end]]),
    ...section(7, [
      [...text('scan'), 0x00, 0],
      [...text('memory'), 0x02, 0],
      [...text('hash'), 0x03, 0],
    ]),
    ...section(10, [sized([...vector([[LOCALS, I32]]), ...scanBody])]),
  ])
}
