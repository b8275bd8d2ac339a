import { randomBytes } from 'node:crypto'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { BlockIndex, type DigestsOf, type IndexedCore } from '../../src/archive/block-index.ts'
import { BlockTable } from '../../src/archive/block-table.ts'
import { temporaryFolder } from './helpers.ts'

const KEY = 'y'.repeat(52)

/** A core whose blocks have these digests, and which of them were looked up. */
function coreOf(digests: readonly (Buffer | null)[], key = Buffer.alloc(32, 1)) {
  const asked: number[] = []
  const core: IndexedCore = { key, fork: 0, length: digests.length }
  const lookUp: DigestsOf = async indexes => {
    asked.push(...indexes)
    return indexes.map(index => digests[index] ?? null)
  }
  return { core, lookUp, asked }
}

const someDigests = (count: number) => Array.from({ length: count }, () => randomBytes(32))

test('a table finds each of many blocks, and nothing that is not there', () => {
  const digests = someDigests(20_000)
  const table = new BlockTable(0, new Uint32Array(0))
  for (const digest of digests) table.push(digest)
  for (const [index, digest] of digests.entries()) expect(table.find(digest)).toEqual([index])
  for (const digest of someDigests(1000)) expect(table.find(digest)).toEqual([])
})

test('a table gives all blocks of one digest, and none for a block without', () => {
  const [twice, once] = someDigests(2) as [Buffer, Buffer]
  const table = new BlockTable(100, new Uint32Array(0))
  for (const digest of [twice, null, once, twice]) table.push(digest)
  expect(table.find(twice)).toEqual([100, 103])
  expect(table.find(once)).toEqual([102])
  expect(table.find(Buffer.alloc(32))).toEqual([])
  expect(table.end).toBe(104)
})

test('a table forgets the oldest of more blocks than it keeps, and the file with it', async () => {
  const digests = someDigests(10_000)
  const keeps = 1000
  const table = new BlockTable(0, new Uint32Array(0), keeps)
  for (const [index, digest] of digests.entries()) {
    table.push(digest)
    expect(table.end).toBe(index + 1)
    expect(table.end - table.base).toBeLessThanOrEqual(keeps + keeps / 8)
    expect(table.base).toBeLessThanOrEqual(Math.max(0, table.end - keeps))
  }
  for (const [index, digest] of digests.entries())
    expect(table.find(digest)).toEqual(index < table.base ? [] : [index])
  const words = table.wordsFrom(0)
  expect(words.length).toBe(2 * (table.end - table.base))
  expect(words.buffer.byteLength).toBeLessThanOrEqual(8 * (keeps + keeps / 8))
  expect(new BlockTable(table.base, words, keeps).find(digests.at(-1)!)).toEqual([9999])
})

test('an index is kept in a file, and only what the file lacks is looked up', async () => {
  const home = await temporaryFolder()
  const digests: (Buffer | null)[] = [...someDigests(5000), null]
  const first = coreOf(digests)
  const index = await BlockIndex.open(home, KEY, first.core, first.lookUp)
  expect(first.asked.length).toBe(5001)
  await index.save()

  digests.push(...someDigests(3))
  const second = coreOf(digests)
  const again = await BlockIndex.open(home, KEY, second.core, second.lookUp)
  expect(second.asked).toEqual([5001, 5002, 5003])
  for (const [i, digest] of digests.entries())
    if (digest) expect(again.table.find(digest)).toEqual([i])
  again.table.push(randomBytes(32))
  await again.save()
  const third = coreOf([...digests, randomBytes(32)])
  await BlockIndex.open(home, KEY, third.core, third.lookUp)
  expect(third.asked).toEqual([])

  await BlockIndex.forget(home, KEY)
  await BlockIndex.open(home, KEY, second.core, second.lookUp)
  expect(second.asked.length).toBe(3 + digests.length)
})

test('a file of another core, of another fork, damaged or cut off is looked up again', async () => {
  const home = await temporaryFolder()
  const path = join(home, 'blocks', `${KEY}.idx`)
  const digests = someDigests(10)
  const { core, lookUp } = coreOf(digests)
  const save = async () => await (await BlockIndex.open(home, KEY, core, lookUp)).save()
  const lookedUp = async (other: IndexedCore = core) => {
    const { lookUp, asked } = coreOf(digests)
    const index = await BlockIndex.open(home, KEY, other, lookUp)
    for (const [i, digest] of digests.entries()) expect(index.table.find(digest)).toEqual([i])
    return asked
  }
  await save()
  expect(await lookedUp()).toEqual([])
  expect(await lookedUp({ ...core, key: Buffer.alloc(32, 2) })).toHaveLength(10)
  expect(await lookedUp({ ...core, fork: 1 })).toHaveLength(10)

  const whole = await readFile(path)
  const damaged = Buffer.from(whole)
  damaged[3]! ^= 1
  await writeFile(path, damaged)
  expect(await lookedUp()).toHaveLength(10)
  await writeFile(path, whole)
  await truncate(path, whole.length - 20)
  expect(await lookedUp()).toEqual([7, 8, 9])
  for (const size of [0, 5, whole.length - 80]) {
    await truncate(path, size)
    expect(await lookedUp()).toHaveLength(10)
  }
  await save()
  expect((await readFile(path)).equals(whole)).toBe(true)
})

test('a file that knows blocks the core has lost is cut to what is there', async () => {
  const home = await temporaryFolder()
  const digests = someDigests(10)
  const long = coreOf(digests)
  await (await BlockIndex.open(home, KEY, long.core, long.lookUp)).save()
  const short = coreOf(digests.slice(0, 6))
  const index = await BlockIndex.open(home, KEY, short.core, short.lookUp)
  expect(short.asked).toEqual([])
  expect(index.table.find(digests[7]!)).toEqual([])
  const other = randomBytes(32)
  index.table.push(other)
  await index.save()
  const next = coreOf([...digests.slice(0, 6), other])
  const again = await BlockIndex.open(home, KEY, next.core, next.lookUp)
  expect(next.asked).toEqual([])
  expect(again.table.find(other)).toEqual([6])
})
