import { Transform } from 'node:stream'
import type { DriveBlob } from 'hyperdrive'
import { expect, onTestFinished, test } from 'vitest'
import type { FileEntry } from '../../schemas/index.ts'
import { blockFilesOf } from '../../src/archive/block-files/open-block-storage.ts'
import { mergeRanges } from '../../src/archive/block-ranges.ts'
import type { BundleStore } from '../../src/archive/bundle.ts'
import type { DriveBundle } from '../../src/archive/drive-bundle.ts'
import { noise } from '../system/noise.ts'
import { all, bytesOf, codeOf, connect, type Files, openHome, publish } from './helpers.ts'

const near = { history: 'cheap', stallMs: 4000 } as const

/** The author of a bundle with these releases. */
async function author(...releases: Files[]) {
  const { store } = await openHome()
  const bundle = await store.create()
  for (const files of releases) await publish(bundle, files)
  return { store, key: bundle.key }
}

async function openCopy(store: BundleStore, key: string, stallMs: number = near.stallMs) {
  const copy = await store.open(key)
  await copy.update({ timeoutMs: 5000 })
  const release = await copy.openRelease({}, { ...near, stallMs })
  const entries = (await all(release.entries())) as FileEntry[]
  const file = (path: string) => entries.find(one => one.path === path)!
  return { copy, release, entries, file }
}

/** Connects two stores by a wire that carries so many bytes a second. */
function connectSlowly(a: BundleStore, b: BundleStore, bytesPerSecond: number): void {
  const left = a.replicate(true)
  const right = b.replicate(false)
  const slow = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      setTimeout(done, (1000 * chunk.length) / bytesPerSecond, null, chunk)
    },
  })
  for (const stream of [left, right, slow]) stream.on('error', () => undefined)
  left.pipe(slow).pipe(right).pipe(left)
  onTestFinished(() => {
    for (const stream of [left, right, slow]) stream.destroy()
  })
}

test('progress is of the bytes of files, however many of them share a block', async () => {
  const zeros = Buffer.alloc(8 << 20)
  const [one, two] = [noise(1 << 20, 1), noise(2 << 20, 2)] as const
  const files = {
    'a-zeros.img': zeros,
    'b-twin': one,
    'c-twin': one,
    'd-mixed': Buffer.concat([one, zeros, two]),
    'e-two': two,
  }
  const source = await author(files)
  const reader = await openHome()
  connectSlowly(source.store, reader.store, 3 << 20)
  const { copy, release, entries, file } = await openCopy(reader.store, source.key, 20_000)
  const total = Object.values(files).reduce((sum, bytes) => sum + bytes.length, 0)
  const records = await all(release.fetch(entries))
  expect(records.every(one => one.totalBytes === total)).toBe(true)
  const bytes = records.map(one => one.bytes!)
  expect(bytes).toEqual([...bytes].sort((a, b) => a - b))
  expect(bytes[0]).toBeLessThan(total / 2)
  expect(bytes.at(-1)).toBe(total)
  expect(copy.received().bytes).toBeLessThan(6 << 20)
  for (const [path, content] of Object.entries(files))
    expect((await bytesOf(release.read(file(path)))).equals(content)).toBe(true)
  expect(await all(release.fetch(entries))).toEqual([])
})

test('a file whose block map nobody has holds up no others, and a map alone is not its file', async () => {
  const [one, two] = [noise(3 << 20, 1), noise(3 << 20, 2)] as const
  const mixed = (seed: number) => Buffer.concat([noise(3 << 20, seed), one, two])
  const source = await author({ one, two }, { 'mixed-a': mixed(3), 'mixed-b': mixed(4) })
  const partial = await openHome()
  const cut = connect(source.store, partial.store)
  const held = await openCopy(partial.store, source.key)
  await all(held.release.fetch([held.file('mixed-b')]))
  expect(await held.release.held([held.file('mixed-a'), held.file('mixed-b')])).toBe(1)
  cut()
  const reader = await openHome()
  connect(partial.store, reader.store)
  const { copy, release, file } = await openCopy(reader.store, source.key)
  const wanted = [file('mixed-a'), file('mixed-b')]
  expect(await codeOf(all(release.fetch(wanted)))).toBe('NO_PEER')
  expect(await release.held(wanted)).toBe(1)
  expect(await release.held([file('mixed-b')])).toBe(1)

  const core = (await (copy as DriveBundle).drive.getBlobs())!.core
  const blobOf = async (path: string) =>
    ((await (copy as DriveBundle).drive.entry(path))!.value as { blob: DriveBlob }).blob
  expect((await blobOf('/mixed-a')).blockMap).toBe(true)
  const blob = await blobOf('/mixed-b')
  expect(blob.blockMap).toBe(true)
  await core.clear(0, blob.blockOffset)
  expect(await core.has(blob.blockOffset)).toBe(true)
  expect(await release.held([file('mixed-b')])).toBe(0)
})

test.each([
  ['ENOSPC: no space left on device, writev', 'DISK_FULL'],
  ['EIO: i/o error, writev', 'WRITE_FAILED'],
])('a store that cannot be written (%s) says so at once, and blames no peer', async (why, code) => {
  const source = await author({ data: noise(4 << 20) })
  const reader = await openHome()
  connect(source.store, reader.store)
  const { copy, release, entries } = await openCopy(reader.store, source.key, 30_000)
  const seen: string[] = []
  onTestFinished(copy.onDishonestPeer(one => seen.push(one.message)))
  const { core } = (copy as DriveBundle).drive
  const { storage } = (core as unknown as { state: { storage: { db: unknown } } }).state
  const files = blockFilesOf(storage)!
  const { write } = files
  files.write = () => Promise.reject(new Error(why))
  const start = performance.now()
  expect(await codeOf(all(release.fetch(entries)))).toBe(code)
  expect(performance.now() - start).toBeLessThan(5000)
  expect(seen).toEqual([])
  files.write = write
})

test('ranges that overlap are merged with the bytes of both', () => {
  const merged = mergeRanges([
    { start: 0, end: 1, bytes: 10 },
    { start: 0, end: 100, bytes: 1000 },
    { start: 0, end: 1, bytes: 10 },
    { start: 100, end: 101, bytes: 5 },
    { start: 200, end: 201, bytes: 7 },
  ])
  expect(merged).toEqual([
    { start: 0, end: 101, bytes: 1005 },
    { start: 200, end: 201, bytes: 7 },
  ])
})
