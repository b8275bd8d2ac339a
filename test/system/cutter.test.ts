import { readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { blake3, blake3Digest } from '../../src/system/blake3.ts'
import {
  type Cutter,
  createCutter,
  gearTable,
  MAX_BLOCK,
  MIN_BLOCK,
  scanPlain,
  scanWasm,
} from '../../src/system/cutter.mjs'
import { noise } from './noise.ts'

const VECTORS = new URL('../../fixtures/format/block-vectors.json', import.meta.url)
const KIB = 1024

type Part = { readonly noise: number; readonly bytes: number } | { readonly zeros: number }

interface Vector {
  readonly name: string
  /** The parts one after the other; docs/format/blocks.md says how noise is made. */
  readonly input: readonly Part[]
  /** The end of each block. */
  readonly cuts: readonly number[]
  /** BLAKE3 of the text of the blocks' BLAKE3, in hex, one a line. */
  readonly blocks: string
  readonly blake3: string
}

const cases: readonly Pick<Vector, 'name' | 'input'>[] = [
  { name: 'empty', input: [] },
  { name: 'shorter than the minimum', input: [{ noise: 1, bytes: 5000 }] },
  { name: 'the minimum', input: [{ noise: 1, bytes: 64 * KIB }] },
  { name: 'one byte more', input: [{ noise: 1, bytes: 64 * KIB + 1 }] },
  { name: 'all zeros', input: [{ zeros: 1200 * KIB }] },
  { name: 'noise', input: [{ noise: 2, bytes: 4 * KIB * KIB }] },
  {
    name: 'the same noise after something else',
    input: [
      { noise: 3, bytes: 1000 },
      { noise: 2, bytes: 4 * KIB * KIB },
    ],
  },
  {
    name: 'a hole in noise',
    input: [{ noise: 4, bytes: 300_000 }, { zeros: 2_000_000 }, { noise: 5, bytes: 300_000 }],
  },
]

const bytesOf = (input: readonly Part[]) =>
  Buffer.concat(
    input.map(part => ('zeros' in part ? Buffer.alloc(part.zeros) : noise(part.bytes, part.noise))),
  )

const table = gearTable(blake3Digest)
const cutters = {
  plain: createCutter(scanPlain(table)),
  wasm: createCutter(scanWasm(table)),
}

function cutAll(cut: Cutter, bytes: Uint8Array): number[] {
  const cuts: number[] = []
  for (let at = 0; at < bytes.length; at = cuts.at(-1)!) cuts.push(cut(bytes, at, bytes.length))
  return cuts
}

/** The rule, word for word: the hash of a place from the 32 bytes before it, and nothing else. */
function cutByTheRule(bytes: Uint8Array): number[] {
  const cuts: number[] = []
  for (let begin = 0; begin < bytes.length; begin = cuts.at(-1)!) {
    const last = Math.min(bytes.length, begin + MAX_BLOCK)
    let place = Math.min(last, begin + MIN_BLOCK)
    const isCut = () => {
      let hash = 0
      for (let i = 0; i < 32; i++) hash = (hash + (table[bytes[place - 1 - i]!]! << i)) >>> 0
      return hash < 65_536
    }
    while (place < last && !isCut()) place++
    cuts.push(place)
  }
  return cuts
}

function vectorOf(one: (typeof cases)[number]): Vector {
  const bytes = bytesOf(one.input)
  const cuts = cutAll(cutters.plain, bytes)
  const hashes = cuts.map((end, i) => `${blake3(bytes.subarray(cuts[i - 1] ?? 0, end))}\n`)
  return { ...one, cuts, blocks: blake3(hashes.join('')), blake3: blake3(bytes) }
}

test('the blocks of each vector are the committed ones, in JavaScript and in WebAssembly', () => {
  const fresh = {
    table: blake3(Buffer.from(table.buffer)),
    vectors: cases.map(vectorOf),
  }
  if (process.env['UPDATE_FORMAT']) writeFileSync(VECTORS, `${JSON.stringify(fresh, null, 1)}\n`)
  const committed = JSON.parse(readFileSync(VECTORS, 'utf8')) as typeof fresh
  expect(fresh).toEqual(committed)
  for (const { input, cuts } of committed.vectors)
    expect(cutAll(cutters.wasm, bytesOf(input))).toEqual(cuts)
  for (const { input, cuts } of committed.vectors)
    expect(cutByTheRule(bytesOf(input))).toEqual(cuts)
  expect(committed.vectors.map(one => one.cuts.length)).toEqual([0, 1, 1, 1, 3, 33, 33, 10])
})

test('both cutters cut everything alike, and keep to the minimum and the maximum', () => {
  const part = fc.oneof(
    fc.record({ noise: fc.nat(1000), bytes: fc.nat(700 * KIB) }),
    fc.record({ zeros: fc.nat(700 * KIB) }),
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), fc.nat(255), (input, letters) => {
      // Few letters make bytes that repeat themselves.
      const bytes = bytesOf(input).map(byte => byte & letters)
      const cuts = cutAll(cutters.plain, bytes)
      expect(cutAll(cutters.wasm, bytes)).toEqual(cuts)
      const sizes = cuts.map((end, i) => end - (cuts[i - 1] ?? 0))
      expect(Math.max(0, ...sizes)).toBeLessThanOrEqual(MAX_BLOCK)
      expect(sizes.slice(0, -1).every(size => size >= MIN_BLOCK)).toBe(true)
    }),
    { numRuns: 25 },
  )
})

test('bytes that were put in at the front leave nearly every block as it was', () => {
  const bytes = noise(16 * KIB * KIB, 9)
  const cuts = new Set(cutAll(cutters.wasm, bytes))
  for (const size of [1, 1000, 100_000]) {
    const moved = cutAll(cutters.wasm, Buffer.concat([noise(size, 10), bytes]))
    const fresh = moved.filter(end => !cuts.has(end - size))
    expect(fresh.length).toBeLessThan(8)
  }
})
