import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { FileEntry } from '../../schemas/index.ts'
import {
  all,
  bytesOf,
  codeOf,
  connect,
  drain,
  entryOf,
  type Files,
  openHome,
  prepare,
  prepareEntries,
  publish,
  temporaryFolder,
  writeFiles,
} from './helpers.ts'

/** Bytes that no part of repeats. */
const big = randomBytes(3 * 1024 * 1024 + 17)
const files: Files = {
  'a.txt': 'alpha\n',
  'bin/run.sh': { run: '#!/bin/sh\necho hi\n' },
  'big.dat': big,
  'copy.dat': big,
  'empty.txt': '',
  'link.txt': { link: 'a.txt' },
  nothing: { folder: true },
  'sub/é ü.txt': 'unicode',
}
const limits = { history: 'cheap', stallMs: 3000 } as const

test('a published release is read back, byte for byte', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  const { record, published, storedFiles } = await publish(bundle, files, {
    tag: 'v1',
    message: 'first',
  })
  expect(published).toBe(true)
  expect(storedFiles).toBe(6 - 2)
  expect(record).toMatchObject({
    release: 1,
    tag: 'v1',
    message: 'first',
    files: 6,
    key: bundle.key,
  })
  const release = await bundle.openRelease({ release: 'v1' }, limits)
  const entries = await all(release.entries())
  expect(entries).toEqual(
    Object.entries(files)
      .map(([path, content]) => entryOf(path, content))
      .sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path))),
  )
  const read = entries.find(entry => entry.path === 'big.dat') as FileEntry
  expect((await bytesOf(release.read(read))).equals(big)).toBe(true)
  await release.close()
})

test('only what changed is stored again, and what is unchanged is not published', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  await publish(bundle, files)
  expect(await publish(bundle, files)).toMatchObject({ published: false, record: { release: 1 } })
  const changed = { ...files, 'a.txt': 'beta\n', 'moved.dat': big }
  expect(await publish(bundle, changed)).toMatchObject({
    published: true,
    record: { release: 2 },
    storedFiles: 1,
    storedBytes: 5,
  })
  expect(await publish(bundle, files)).toMatchObject({
    published: true,
    record: { release: 3 },
    storedFiles: 0,
  })
  expect(await publish(bundle, files, { tag: 'v1' })).toMatchObject({
    published: true,
    record: { release: 4, tag: 'v1' },
  })
  expect(await publish(bundle, files, { tag: 'v1' })).toMatchObject({
    published: false,
    record: { release: 4 },
  })
  expect(await codeOf(publish(bundle, changed, { tag: 'v1' }))).toBe('TAG_TAKEN')
  const second = await bundle.openRelease({ release: 2 }, limits)
  expect((await all(second.entries('a.txt')))[0]).toEqual(entryOf('a.txt', 'beta\n'))
  const log = await bundle.releases({ history: 'all' })
  expect(log.map(one => [one.release, one.fault])).toEqual([
    [1, null],
    [2, null],
    [3, null],
    [4, null],
  ])
})

test('a file that changed after it was hashed is refused, and nothing is published', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  const folder = await temporaryFolder()
  await writeFiles(folder, { 'a.txt': 'alpha' })
  const prepared = prepareEntries(folder, [entryOf('a.txt', 'alpha')])
  for (const text of ['ALPHA', 'alph', 'alpha and more']) {
    await writeFile(join(folder, 'a.txt'), text)
    expect(await codeOf(drain(bundle.publish(prepared, {})))).toBe('SOURCE_CHANGED')
  }
  expect(await bundle.releases({ history: 'all' })).toEqual([])
  await writeFile(join(folder, 'a.txt'), 'alpha')
  expect((await drain(bundle.publish(prepared, {}))).result.record.release).toBe(1)
})

test('two publishes at once are one after the other', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  const [a, b] = await Promise.all([publish(bundle, { a: '1' }), publish(bundle, { a: '2' })])
  expect([a.record.release, b.record.release].sort()).toEqual([1, 2])
  expect((await bundle.releases({ history: 'all' })).every(one => one.fault === null)).toBe(true)
})

test('a reader gets a release from a peer, and only what it asks for', async () => {
  const author = await openHome()
  const bundle = await author.store.create()
  await publish(bundle, files, { tag: 'v1' })
  const reader = await openHome()
  const copy = await reader.store.open(bundle.key)
  expect(copy.writable).toBe(false)
  connect(author.store, reader.store)
  expect(await copy.update({ timeoutMs: 5000 })).toBe(true)
  const release = await copy.openRelease({ release: 'v1' }, limits)
  const entries = await all(release.entries())
  expect(copy.received().bytes).toBeLessThan(100_000)
  const file = entries.find(entry => entry.path === 'big.dat') as FileEntry
  const records = await all(release.fetch([file]))
  expect(records.at(-1)).toMatchObject({
    action: 'progress',
    bytes: big.length,
    totalBytes: big.length,
  })
  expect(copy.received().bytes).toBeGreaterThan(big.length)
  const before = copy.received().blocks
  await all(release.fetch([file]))
  expect((await bytesOf(release.read(file))).equals(big)).toBe(true)
  expect(copy.received().blocks).toBe(before)
  expect(await reader.store.list()).toEqual([
    { key: bundle.key, name: 'test-bundle', writable: false, releases: 1 },
  ])
  expect(await codeOf(drain(copy.publish(await prepare({}), {})))).toBe('KEY_NOT_WRITABLE')
})

test('without a peer nothing waits for ever', async () => {
  const { store } = await openHome()
  const author = await openHome()
  const bundle = await author.store.create()
  await publish(bundle, files)
  const copy = await store.open(bundle.key)
  expect(await copy.update({ timeoutMs: 200 })).toBe(false)
  expect(await codeOf(copy.openRelease({}, { history: 'cheap', stallMs: 500 }))).toBe('NOT_FOUND')
  const cut = connect(author.store, store)
  await copy.update({ timeoutMs: 5000 })
  const release = await copy.openRelease({}, { history: 'cheap', stallMs: 700 })
  const file = (await all(release.entries())).find(entry => entry.path === 'big.dat') as FileEntry
  cut()
  expect(await codeOf(all(release.fetch([file])))).toBe('NO_PEER')
  expect(await codeOf(bytesOf(release.read(file)))).toBe('NO_PEER')
  const offline = await copy.openRelease({}, { history: 'cheap', stallMs: 0 })
  expect(await codeOf(all(offline.fetch([file])))).toBe('NO_PEER')
})
