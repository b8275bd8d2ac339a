// Says fast where some forms cannot be: whether any of several runs of four characters stands in a text. 16 places at a
// time: a table by the lower and one by the upper half of a byte say which runs may have it at a place, and what is left
// of all four places is a hit, or by chance none: the runs share 8 bits. Made as in gear-scan.mjs. Types: quad-scan.d.mts.

const WIDTH = 16
const QUAD = 4
const PAGE_BYTES = 65_536
const BUCKETS = 8

const [I32, V128] = [0x7f, 0x7b]
/** Parameter, then locals. */
const [END, P, BYTES] = [0, 1, 2]

const unsigned = value => {
  const bytes = []
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128)
  return [...bytes, value]
}
const small = value => [0x41, value]
const get = local => [0x20, local]
const tee = local => [0x22, local]
const add = [0x6a]
const below = [0x48]
const loop = [0x03, 0x40]
const ifThen = [0x04, 0x40]
const againIf = [0x0d, 0]
const leave = [0x0f]
const end = [0x0b]
const simd = (code, ...rest) => [0xfd, ...unsigned(code), ...rest]
const loadAt = offset => simd(0x00, 0, offset)
const constant = bytes => simd(0x0c, ...bytes)
const look = simd(0x0e) // i8x16.swizzle
const and = simd(0x4e)
const anyTrue = simd(0x53)
const shiftRight = simd(0x6d)

/** Which runs may have a byte with these halves at a place, as bits. */
function tablesOf(quads, place) {
  const [lower, upper] = [new Uint8Array(16), new Uint8Array(16)]
  for (const [i, quad] of quads.entries())
    for (const ch of Buffer.from(quad[place], 'latin1')) {
      lower[ch & 15] |= 1 << (i % BUCKETS)
      upper[ch >> 4] |= 1 << (i % BUCKETS)
    }
  return [lower, upper]
}

function bodyOf(quads) {
  const places = Array.from({ length: QUAD }, (_, place) => {
    const [lower, upper] = tablesOf(quads, place)
    return [
      ...[...constant(lower), ...get(P), ...loadAt(place), ...tee(BYTES)],
      ...[...constant(new Uint8Array(16).fill(15)), ...and, ...look],
      ...[...constant(upper), ...get(BYTES), ...small(4), ...shiftRight, ...look, ...and],
      ...(place > 0 ? and : []),
    ]
  })
  return [
    ...[...loop, ...places.flat(), ...anyTrue, ...ifThen, ...small(1), ...leave, ...end],
    ...[...get(P), ...small(WIDTH), ...add, ...tee(P), ...get(END), ...below, ...againIf, ...end],
    ...[...small(0), ...end],
  ]
}

const vector = items => [...unsigned(items.length), ...items.flat()]
const sized = bytes => [...unsigned(bytes.length), ...bytes]
const section = (id, items) => [id, ...sized(vector(items))]
const text = name => sized([...Buffer.from(name)])

function moduleOf(quads, pages) {
  const locals = vector([
    [1, I32],
    [1, V128],
  ])
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [[0x60, ...vector([[I32]]), ...vector([[I32]])]]),
    ...section(3, [[0]]),
    ...section(5, [[0x00, ...unsigned(pages)]]),
    ...section(7, [
      [...text('scan'), 0x00, 0],
      [...text('memory'), 0x02, 0],
    ]),
    ...section(10, [sized([...locals, ...bodyOf(quads)])]),
  ])
}

export function createQuadScan(quads, size) {
  if (typeof WebAssembly !== 'object') return null
  try {
    // What lies behind the text is looked at too, and may only make a hit of none.
    const pages = Math.ceil((size + WIDTH + QUAD) / PAGE_BYTES)
    const instance = new WebAssembly.Instance(new WebAssembly.Module(moduleOf(quads, pages)))
    const { scan, memory } = instance.exports
    return {
      bytes: Buffer.from(memory.buffer, 0, size),
      mayHold: length => length >= QUAD && scan(length) === 1,
    }
  } catch {
    // A processor without such instructions.
    return null
  }
}
