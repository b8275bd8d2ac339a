import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type IndexEntry, segmentLine } from '../../schemas/index.ts'
import { buildIndex, MAX_LINES, MIN_LINES, readIndex } from '../../src/archive/content-index.ts'
import { comparePaths } from '../../src/core/archive-path.ts'
import { blake3 } from '../../src/system/blake3.ts'
import { all, codeOf, entryOf } from './helpers.ts'

const VECTORS = new URL('../../fixtures/format/index-vectors.json', import.meta.url)

/** The rule of the vectors, as docs/format/index.md gives it. */
const numbered = (count: number): IndexEntry[] =>
  Array.from({ length: count }, (_, i) => entryOf(`f/${i}`, `${i}`))

interface Vector {
  readonly name: string
  readonly numbered?: number
  readonly entries?: readonly IndexEntry[]
  readonly root: {
    readonly blake3: string
    readonly entries: number
    readonly files: number
    readonly bytes: number
  }
  /** BLAKE3 of the segments of each level, the lowest first, in order. */
  readonly levels: readonly (readonly string[])[]
}

const cases: readonly Pick<Vector, 'name' | 'numbered' | 'entries'>[] = [
  { name: 'empty', entries: [] },
  { name: 'one file', entries: [entryOf('a.txt', 'alpha\n')] },
  {
    name: 'every kind, ordered by bytes and not by UTF-16',
    entries: [
      entryOf('A', 'a'),
      entryOf('a-b', { run: 'x' }),
      entryOf('a/b', { link: '../A' }),
      entryOf('a0', { folder: true }),
      entryOf('\uffee', 'below the next in UTF-8'),
      entryOf('\u{1f41f}', 'above the last in UTF-8'),
    ],
  },
  { name: 'under the minimum', numbered: MIN_LINES - 1 },
  { name: 'two levels of lists', numbered: 300 },
  { name: 'three levels of lists', numbered: 20_000 },
]

function levelsOf(hash: string, segments: ReadonlyMap<string, string>): string[][] {
  const level = [hash]
  const levels = [level]
  for (;;) {
    const lines = levels[0]!.flatMap(one =>
      segments
        .get(one)!
        .split('\n')
        .filter(line => line !== ''),
    )
    const below = lines
      .map(line => segmentLine.safeParse(JSON.parse(line)))
      .filter(one => one.success)
    if (below.length === 0) return levels
    levels.unshift(below.map(one => one.data!.segment))
  }
}

function vectorOf(one: (typeof cases)[number]): Vector {
  const { root, segments } = buildIndex(one.entries ?? numbered(one.numbered!))
  return { ...one, root, levels: levelsOf(root.blake3, segments) }
}

test('the index of each vector is the committed one', () => {
  if (process.env['UPDATE_FORMAT']) {
    mkdirSync(new URL('.', VECTORS), { recursive: true })
    writeFileSync(VECTORS, `${JSON.stringify(cases.map(vectorOf), null, 1)}\n`)
  }
  const vectors = JSON.parse(readFileSync(VECTORS, 'utf8')) as Vector[]
  expect(vectors.map(one => one.name)).toEqual(cases.map(one => one.name))
  for (const [i, vector] of vectors.entries()) expect(vectorOf(cases[i]!)).toEqual(vector)
  expect(vectors.map(one => one.levels.length)).toEqual([1, 1, 1, 1, 3, 4])
})

const path = fc
  .array(fc.stringMatching(/^[a-zA-Z0-9é🐟_ -]{1,6}$/u), { minLength: 1, maxLength: 3 })
  .map(parts => parts.join('/'))
const entries = fc
  .uniqueArray(path, { maxLength: 400 })
  .map(paths => paths.map(one => entryOf(one, one)))

test('an index depends on nothing but its entries, and gives them back in order', async () => {
  await fc.assert(
    fc.asyncProperty(entries, async some => {
      const built = buildIndex(some)
      expect(buildIndex([...some].reverse())).toEqual(built)
      const read = await all(readIndex(built.root, async hash => built.segments.get(hash) ?? null))
      expect(read).toEqual([...some].sort((a, b) => comparePaths(a.path, b.path)))
    }),
    { numRuns: 50 },
  )
})

test('segments keep to their minimum and maximum', () => {
  const { segments } = buildIndex(numbered(20_000))
  const sizes = [...segments.values()].map(text => text.split('\n').length - 1)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_LINES)
  expect(sizes.filter(size => size < MIN_LINES).length).toBeLessThanOrEqual(3)
})

test('a small change touches few segments, wherever it is', () => {
  const many = numbered(20_000)
  const before = buildIndex(many).segments
  fc.assert(
    fc.property(fc.nat(19_999), fc.constantFrom('change', 'remove', 'add'), (at, kind) => {
      const changed = many.flatMap((entry, i) => {
        if (i !== at) return [entry]
        if (kind === 'change') return [entryOf(entry.path, 'other')]
        return kind === 'remove' ? [] : [entry, entryOf(`${entry.path}x`, 'new')]
      })
      const after = buildIndex(changed).segments
      const fresh = [...after.keys()].filter(hash => !before.has(hash))
      expect(fresh.length).toBeLessThanOrEqual(9)
    }),
    { numRuns: 12 },
  )
})

test('one percent of 20,000 files changed adds less than 32 bytes for each file that is there', () => {
  const many = numbered(20_000)
  const before = buildIndex(many).segments
  const after = buildIndex(
    many.map((entry, i) => (i % 100 === 37 ? entryOf(entry.path, `${i} is new`) : entry)),
  ).segments
  const fresh = [...after].filter(([hash]) => !before.has(hash)).map(([, text]) => text.length)
  expect(fresh.reduce((sum, size) => sum + size, 0)).toBeLessThan(640_000)
  expect(fresh.length).toBeLessThan(300)
})

test('with a prefix only the segments that may hold it are read', async () => {
  const { root, segments } = buildIndex(
    [...numbered(20_000), entryOf('g/only', 'x'), entryOf('g', { folder: true })].filter(
      e => e.path !== 'g',
    ),
  )
  let reads = 0
  const found = await all(
    readIndex(
      root,
      async hash => {
        reads++
        return segments.get(hash) ?? null
      },
      'g',
    ),
  )
  expect(found.map(entry => entry.path)).toEqual(['g/only'])
  expect(reads).toBeLessThan(6)
})

test('a changed, missing or foreign segment is refused', async () => {
  const { root, segments } = buildIndex(numbered(300))
  const [leaf] = [...segments.keys()].filter(hash => hash !== root.blake3)
  const read = (change: (text: string) => string | null) =>
    codeOf(
      all(
        readIndex(root, async hash =>
          hash === leaf ? change(segments.get(hash)!) : segments.get(hash)!,
        ),
      ),
    )
  expect(await read(text => text)).toBe('no error')
  expect(await read(() => null)).toBe('HASH_MISMATCH')
  expect(await read(text => text.replace('"size":1', '"size":2'))).toBe('HASH_MISMATCH')
  const text = `${JSON.stringify({ entries: 1, bytes: 1, first: 'a', last: 'b', segment: blake3('') })}\n`
  const forged = { blake3: blake3(text), entries: 1, files: 1, bytes: 1 }
  expect(
    await codeOf(all(readIndex(forged, async hash => (hash === forged.blake3 ? text : '')))),
  ).toBe('RECORD_INVALID')
})
