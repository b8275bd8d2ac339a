// The inner loop of the cutter as a WebAssembly module, written out instruction by instruction, so that no binary lies
// in the repository. In words:
//
//   scan(p, end, limit): i32            memory: 256 words of the gear table at 0, the bytes at SCRATCH_AT
//     while (p < end) { hash = (hash << 1) + table[memory[p]]; p++; if (hash <u limit) return p }
//     return -1                         `hash` is an exported global, so that a scan can go on with further bytes
//
// UNROLL steps are done before `end` is looked at: `end - p` must be a multiple of UNROLL.

export const SCRATCH_AT = 1024
export const UNROLL = 32
const PAGE_BYTES = 65536
const PAGES = 2
export const SCRATCH_BYTES = PAGE_BYTES

const I32 = 0x7f
const [P, END, LIMIT, HASH] = [0, 1, 2, 3]

const unsigned = value => {
  const bytes = []
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128)
  return [...bytes, value]
}
const get = local => [0x20, ...unsigned(local)]
const set = local => [0x21, ...unsigned(local)]
const tee = local => [0x22, ...unsigned(local)]
const constant = value => [0x41, value] // 0 to 63
const getHash = [0x23, 0]
const setHash = [0x24, 0]
const add = [0x6a]
const shiftLeft = [0x74]
const below = [0x49] // unsigned
const byteAt = offset => [0x2d, 0, ...unsigned(offset)]
const wordAt = offset => [0x28, 2, ...unsigned(offset)]
const ifThen = [0x04, 0x40]
const loop = [0x03, 0x40]
const again = label => [0x0d, label]
const end = [0x0b]
const leave = [0x0f]

/** hash = (hash << 1) + table[memory[p + k]]; if (hash <u limit) return p + k + 1 */
const step = k => [
  ...[...get(HASH), ...constant(1), ...shiftLeft],
  ...[...get(P), ...byteAt(k), ...constant(2), ...shiftLeft, ...wordAt(0), ...add],
  ...[...tee(HASH), ...get(LIMIT), ...below, ...ifThen],
  ...[...get(HASH), ...setHash, ...get(P), ...constant(k + 1), ...add, ...leave, ...end],
]

function scanBody() {
  const steps = Array.from({ length: UNROLL }, (_, k) => step(k)).flat()
  return [
    ...[...getHash, ...set(HASH), ...get(P), ...get(END), ...below, ...ifThen, ...loop],
    ...steps,
    ...[...get(P), ...constant(UNROLL), ...add, ...tee(P), ...get(END), ...below, ...again(0)],
    ...[...end, ...end, ...get(HASH), ...setHash, 0x41, 0x7f, ...end], // i32.const -1
  ]
}

const vector = items => [...unsigned(items.length), ...items.flat()]
const sized = bytes => [...unsigned(bytes.length), ...bytes]
const section = (id, items) => [id, ...sized(vector(items))]
const text = name => sized([...Buffer.from(name)])

/** The module's bytes. */
export function gearScanModule() {
  const locals = vector([[1, I32]])
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
    ...section(10, [sized([...locals, ...scanBody()])]),
  ])
}
