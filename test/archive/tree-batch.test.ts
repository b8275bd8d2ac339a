import { join } from 'node:path'
import Corestore from 'corestore'
import Hyperbee from 'hyperbee'
import { expect, onTestFinished, test } from 'vitest'
import { TreeBatch } from '../../src/archive/tree-batch.ts'
import { all, temporaryFolder } from './helpers.ts'

interface Bee extends Hyperbee {
  put(key: string, value: string): Promise<void>
  del(key: string): Promise<void>
  get(key: string): Promise<{ seq: number; value: string } | null>
  checkout(version: number): Bee
  createReadStream(range?: object): AsyncIterable<{ seq: number; key: string; value: string }>
  batch(): Bee
  flush(): Promise<void>
}

async function openBee(): Promise<Bee> {
  const store = new Corestore(join(await temporaryFolder(), 'bee'))
  const bee = new Hyperbee(store.get({ name: 'bee' }), {
    keyEncoding: 'utf-8',
    valueEncoding: 'utf-8',
    extension: false,
  }) as Bee
  await bee.ready()
  onTestFinished(async () => {
    await bee.close()
    await store.close()
  })
  await bee.put('m', 'first')
  return bee
}

type Entries = readonly (readonly [string, string])[]

async function bulk(bee: Bee, entries: Entries, batch = new TreeBatch(bee)): Promise<TreeBatch> {
  for (const [key, value] of entries) await batch.put(Buffer.from(key), Buffer.from(value))
  await batch.flush()
  return batch
}

async function stock(bee: Bee, entries: Entries): Promise<void> {
  const batch = bee.batch()
  for (const [key, value] of entries) await batch.put(key, value)
  await batch.flush()
}

const contentsOf = async (bee: Bee) =>
  (await all(bee.createReadStream())).map(({ seq, key, value }) => ({ seq, key, value }))

const numbered = (from: number, to: number, step = 1): Entries =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => {
    const key = String(from + i * step).padStart(6, '0')
    return [key, `value of ${key}`] as const
  })

/** A small generator of numbers, the same each time. */
function random(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const shuffled = <T>(items: readonly T[], next: (below: number) => number): T[] => {
  const list = [...items]
  for (let i = list.length - 1; i > 0; i--) {
    const j = next(i + 1)
    ;[list[i], list[j]] = [list[j]!, list[i]!]
  }
  return list
}

const random100 = random(100)
const CASES: Record<string, readonly Entries[]> = {
  nothing: [[]],
  'one entry': [numbered(0, 1)],
  'as many as a node holds, and one more': [numbered(0, 8), numbered(8, 9)],
  'many in order': [numbered(0, 5000)],
  'many in reverse': [[...numbered(0, 3000)].reverse()],
  'many in no order': [shuffled(numbered(0, 3000), random(7))],
  'between others': [numbered(0, 4000, 4), numbered(1, 4000, 4), numbered(3, 4000, 4)],
  'few among many, changed and new': [
    numbered(0, 3000, 2),
    shuffled(numbered(0, 3000), random(9)).slice(0, 60),
    [['000100', 'new'], ...numbered(2990, 3010)],
  ],
  'the same key twice': [
    [
      ['a', '1'],
      ['a', '2'],
      ['m', '3'],
    ],
  ],
  'small batches at random': Array.from({ length: 40 }, () =>
    shuffled(numbered(0, 400), random100).slice(0, 1 + random100(30)),
  ),
}

test.each(Object.entries(CASES))('makes the tree that Hyperbee makes: %s', async (_, batches) => {
  const [ours, theirs] = [await openBee(), await openBee()]
  const batch = new TreeBatch(ours)
  for (const entries of batches) {
    await bulk(ours, entries, batch)
    await stock(theirs, entries)
  }
  expect(ours.version).toBe(theirs.version)
  expect(await contentsOf(ours)).toEqual(await contentsOf(theirs))
  // The order of nodes within a block may be another: that decides no length.
  expect(ours.core.byteLength).toBe(theirs.core.byteLength)
})

test('leaves a tree that Hyperbee goes on with: reads, puts, deletes, history and older versions', async () => {
  const bee = await openBee()
  const next = random(3)
  const expected = new Map([['m', 'first']])
  const versions: { version: number; entries: [string, string][] }[] = []
  for (let round = 0; round < 12; round++) {
    const entries = shuffled(numbered(0, 600), next)
      .slice(0, 80)
      .map(([key]) => [key, `round ${round}`] as const)
    await bulk(bee, entries)
    for (const [key, value] of entries) expected.set(key, value)
    for (const key of shuffled([...expected.keys()], next).slice(0, 50)) {
      await bee.del(key)
      expected.delete(key)
    }
    await bee.put(`own ${round}`, 'by Hyperbee')
    expected.set(`own ${round}`, 'by Hyperbee')
    versions.push({ version: bee.version, entries: [...expected].sort() })
  }
  for (const { version, entries } of versions) {
    const then = bee.checkout(version)
    const found = (await contentsOf(then)).map(({ key, value }) => [key, value])
    expect(found).toEqual(entries)
    await then.close()
  }
  for (const [key, value] of expected) expect((await bee.get(key))?.value).toBe(value)
  expect(await bee.get('nowhere')).toBeNull()
  const history = await all(bee.createHistoryStream({ gte: 1 }))
  expect(history.length).toBe(bee.version - 1)
  expect(history.filter(({ type }) => type === 'del').length).toBeGreaterThan(100)
})

test('refuses a tree without header, and one that changes under it', async () => {
  const store = new Corestore(join(await temporaryFolder(), 'bee'))
  onTestFinished(() => store.close())
  const empty = new Hyperbee(store.get({ name: 'empty' }), { extension: false }) as Bee
  await empty.ready()
  await expect(bulk(empty, [['a', 'b']])).rejects.toMatchObject({ code: 'INTERNAL' })
  const bee = await openBee()
  const batch = new TreeBatch(bee)
  await batch.put(Buffer.from('a'), Buffer.from('b'))
  await bee.put('c', 'd')
  await expect(batch.flush()).rejects.toMatchObject({ code: 'INTERNAL' })
})

test('refuses a block that is no part of a tree', async () => {
  const bee = await openBee()
  await bee.core.append([Buffer.from('no tree at all')])
  await expect(bulk(bee, [['a', 'b']])).rejects.toThrow()
})
