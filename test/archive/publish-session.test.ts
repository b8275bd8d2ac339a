import { randomBytes } from 'node:crypto'
import { lstat, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import type { FileEntry, WorkRecord } from '../../schemas/index.ts'
import { BlockFiles } from '../../src/archive/block-files/block-files.ts'
import type { Bundle } from '../../src/archive/bundle.ts'
import type { DriveBundle } from '../../src/archive/drive-bundle.ts'
import type { IngestedFile, StartPublishOptions } from '../../src/core/home.ts'
import type { PreparedBundle } from '../../src/core/prepared-bundle.ts'
import type { SourceFile } from '../../src/core/source-file.ts'
import { blake3 } from '../../src/system/blake3.ts'
import { formatFileState } from '../../src/system/file-state.ts'
import {
  all,
  bytesOf,
  codeOf,
  drain,
  entryOf,
  type Files,
  openHome,
  prepareEntries,
  publish,
  temporaryFolder,
  writeFiles,
} from './helpers.ts'

const limits = { history: 'all', stallMs: 0 } as const

async function sourceOf(folder: string, path: string): Promise<SourceFile> {
  const absolute = join(folder, path)
  const stats = await lstat(absolute, { bigint: true })
  return { path, absolute, size: Number(stats.size), state: formatFileState(stats) }
}

/** A folder with its files as sources, and what is made of it. */
async function folderOf(files: Files, folder?: string) {
  const root = folder ?? (await temporaryFolder())
  await writeFiles(root, files)
  const paths = Object.keys(files).sort()
  const sources = await Promise.all(paths.map(path => sourceOf(root, path)))
  const prepared = prepareEntries(
    root,
    paths.map(path => entryOf(path, files[path]!)),
  )
  return { root, sources, prepared }
}

async function publishInOne(
  bundle: Bundle,
  { sources, prepared }: { sources: readonly SourceFile[]; prepared: PreparedBundle },
  options: Omit<StartPublishOptions, 'key'> = {},
) {
  const session = await bundle.startPublish(options)
  try {
    await drain(session.ingest(sources))
    return (await drain(session.publish(prepared))).result
  } finally {
    await session.close()
  }
}

const blobsOf = async (bundle: Bundle) =>
  (await (bundle as unknown as DriveBundle).drive.getBlobs())!.core

async function readBack(bundle: Bundle, release: number): Promise<Record<string, string>> {
  const opened = await bundle.openRelease({ release }, limits)
  const hashes: Record<string, string> = {}
  for (const entry of await all(opened.entries())) {
    if (entry.type !== 'file') continue
    const bytes = await bytesOf(opened.read(entry as FileEntry))
    hashes[entry.path] = blake3(bytes)
    expect(hashes[entry.path]).toBe(entry.blake3)
  }
  await opened.close()
  return hashes
}

test('files are hashed and stored in one pass, and told of in bytes and files', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  const files: Files = { 'a.txt': 'alpha', 'big.bin': randomBytes(1 << 20), empty: '' }
  const { sources, prepared } = await folderOf(files)
  const session = await bundle.startPublish({ tag: 'v1' })
  const ingested = await drain(session.ingest(sources))
  expect(ingested.result).toEqual(
    sources.map(({ path, size, state }) => ({
      path,
      blake3: (entryOf(path, files[path]!) as FileEntry).blake3,
      size,
      executable: false,
      state,
    })),
  )
  const stored = (await blobsOf(bundle)).byteLength
  const { result, records } = await drain(session.publish(prepared))
  expect(result).toMatchObject({ published: true, storedFiles: 2, record: { tag: 'v1' } })
  expect(records.find(one => one.action === 'store')).toMatchObject({ totalFiles: 0 })
  expect((await blobsOf(bundle)).byteLength - stored).toBeLessThan(4096)
  await session.close()
  expect(Object.keys(await readBack(bundle, 1))).toEqual(['a.txt', 'big.bin', 'empty'])
})

test('a file that went away, changed or cannot be read stops no other', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  const { root, sources } = await folderOf({
    'a.txt': 'alpha',
    'big.bin': randomBytes(300_000),
    'c.txt': 'gamma',
    'd.txt': 'delta',
  })
  await rm(join(root, 'c.txt'))
  await writeFile(join(root, 'big.bin'), randomBytes(300_001))
  const session = await bundle.startPublish({})
  const { result } = await drain(session.ingest(sources))
  await session.close()
  const told = (file: IngestedFile) =>
    'blake3' in file ? 'ok' : (file.error as { code: string }).code
  expect(result.map(told)).toEqual(['ok', 'SOURCE_CHANGED', 'ENOENT', 'ok'])
})

test('a publish that was cut off goes on where it was, and what the next does not need is freed', async () => {
  const { home, store } = await openHome()
  const bundle = await store.create()
  const big = randomBytes(24 << 20)
  const folder = await folderOf({ 'big.bin': big, 'dropped.bin': randomBytes(2 << 20) })
  const controller = new AbortController()
  const session = await bundle.startPublish({ signal: controller.signal })
  const blobs = await blobsOf(bundle)
  const dropped = folder.sources.find(file => file.path === 'dropped.bin')!
  await drain(session.ingest([dropped]))
  const work = session.ingest(folder.sources.filter(file => file !== dropped))
  const cutOff = codeOf(
    (async () => {
      while (!(await work.next()).done) if (blobs.length > 20) controller.abort()
    })(),
  )
  const stop = setInterval(() => blobs.byteLength > 8 << 20 && controller.abort(), 1)
  expect(await cutOff).toBe('INTERRUPTED')
  clearInterval(stop)
  await session.close()
  expect(await bundle.releases(limits)).toEqual([])
  const before = blobs.byteLength
  expect(before).toBeGreaterThan(8 << 20)
  await store.close()

  const again = await (await openHome(home)).store.open(bundle.key)
  const rest = await folderOf({ 'big.bin': big })
  const result = await publishInOne(again, rest)
  const core = await blobsOf(again)
  expect(result.storedBytes).toBeLessThan(big.length - (before - (2 << 20)) + 4096)
  expect(core.byteLength).toBeLessThan((2 << 20) + big.length + 8192)
  expect(await readBack(again, 1)).toEqual({ 'big.bin': blake3(big) })
  let here = 0
  for (let i = 0; i < core.length; i++) {
    const block = (await core.has(i)) ? await core.get(i, { wait: false }) : null
    here += block?.length ?? 0
  }
  expect(here).toBeLessThan(big.length + 8192)
})

test('what a publish that was cut off before its record left in the tree is not released', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  await publish(bundle, { 'kept.txt': 'kept', 'changed.txt': 'one' })
  const controller = new AbortController()
  const { sources, prepared } = await folderOf({
    'kept.txt': 'other',
    'left.bin': randomBytes(100_000),
    'changed.txt': 'two',
  })
  const session = await bundle.startPublish({ signal: controller.signal })
  await drain(session.ingest(sources))
  const stopAtRecord = (record: WorkRecord) => {
    if (record.action === 'release') controller.abort()
  }
  const work = session.publish(prepared)
  const all = (async () => {
    for (let step = await work.next(); !step.done; step = await work.next())
      stopAtRecord(step.value)
  })()
  expect(await codeOf(all)).toBe('INTERRUPTED')
  await session.close()
  const { drive } = bundle as unknown as DriveBundle
  expect(await drive.entry('/left.bin')).not.toBeNull()

  const end = (await blobsOf(bundle)).length
  const files = { 'kept.txt': 'kept', 'changed.txt': 'two' }
  const { record } = await publish(bundle, files)
  expect(record.release).toBe(2)
  expect(await drive.entry('/left.bin')).toBeNull()
  const hashes = { 'kept.txt': blake3('kept'), 'changed.txt': blake3('two') }
  expect(await readBack(bundle, 2)).toEqual(hashes)
  const core = await blobsOf(bundle)
  const freed = []
  for (let i = 0; i < end; i++) if (!(await core.has(i))) freed.push(i)
  expect(freed.length).toBeGreaterThan(1)
  expect(await readBack(bundle, 1)).toEqual({ ...hashes, 'changed.txt': blake3('one') })
  expect((await bundle.releases(limits)).map(one => one.fault)).toEqual([null, null])
})

test('a file of more blocks than a map names is noted before it is read', async () => {
  const { store } = await openHome()
  const session = await (await store.create()).startPublish({})
  const file = (path: string, size: number) => ({
    path,
    absolute: `/none/${path}`,
    size,
    state: '',
  })
  const work = session.ingest([file('fits.bin', 60 * 2 ** 30), file('huge.bin', 80 * 2 ** 30)])
  const { value } = await work.next()
  expect(value).toMatchObject({ action: 'note', subject: 'huge.bin' })
  expect((value as { message: string }).message).toMatch(/stored as a whole/)
  await work.return([])
  await session.close()
})

test('a second session waits until the first is closed', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  const first = await bundle.startPublish({})
  const order: string[] = []
  const second = bundle.startPublish({}).then(session => {
    order.push('second began')
    return session.close()
  })
  // Sessions of another bundle, which wait for nobody, come and go.
  const other = await store.create()
  for (let i = 0; i < 5; i++) await (await other.startPublish({})).close()
  order.push('first ends')
  await first.close()
  await second
  expect(order).toEqual(['first ends', 'second began'])
})

test('an index of blocks that lies about where they are makes no wrong release', async () => {
  const { home, store } = await openHome()
  const bundle = await store.create()
  const [one, two] = [randomBytes(100_000), randomBytes(100_000)]
  await publish(bundle, { 'one.bin': one, 'two.bin': two })
  const path = join(home, 'blocks', `${bundle.key}.idx`)
  const index = await readFile(path)
  const start = index.length - 8 * Math.floor((index.length - 60) / 8)
  const words = Buffer.from(index.subarray(start))
  for (let at = 0; at + 8 <= words.length; at += 8)
    words.copy(index, start + ((at + 8) % words.length), at, at + 8)
  await writeFile(path, index)
  const longer = { 'one.bin': one, 'three.bin': Buffer.concat([two, one]), 'two.bin': two }
  await publish(bundle, { ...longer, 'more.txt': 'more' })
  expect(await readBack(bundle, 2)).toEqual({
    'one.bin': blake3(one),
    'two.bin': blake3(two),
    'three.bin': blake3(longer['three.bin']),
    'more.txt': blake3('more'),
  })
})

test('in place, large files stay where they are, and one that changed is stored anew', async () => {
  const { home, store } = await openHome()
  const bundle = await store.create()
  const big = randomBytes(5 << 20)
  const folder = await folderOf({ 'big.bin': big, 'small.txt': 'small', '.repro/images/i/l': big })
  const inPlace = {
    ...folder,
    sources: folder.sources.filter(file => file.path !== '.repro/images/i/l'),
  }
  await publishInOne(bundle, inPlace, { inPlace: true })
  const blockFiles = async () =>
    (await lstat(join(home, 'store/blocks/1.blk')).catch(() => null))?.size ?? 0
  expect(await blockFiles()).toBeLessThan(big.length / 2)
  expect((await readBack(bundle, 1))['big.bin']).toBe(blake3(big))

  const changed = Buffer.concat([Buffer.from('x'), big])
  const second = await folderOf({ 'big.bin': changed, 'small.txt': 'small' }, folder.root)
  await publishInOne(bundle, second, { inPlace: true })
  expect((await readBack(bundle, 2))['big.bin']).toBe(blake3(changed))
})

test('a close that a full disk fails says so, and lets go of the store', async () => {
  const { home, store } = await openHome()
  const bundle = await store.create()
  await store.create()
  const session = await bundle.startPublish({})
  await drain(session.ingest((await folderOf({ 'one.bin': randomBytes(100_000) })).sources))
  await session.close()
  const handle = await open(new URL(import.meta.url), 'r')
  const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
  const spy = vi
    .spyOn(Object.getPrototypeOf(handle) as typeof handle, 'datasync')
    .mockRejectedValue(full)
  await handle.close()
  try {
    expect(await codeOf(store.close())).toBe('DISK_FULL')
  } finally {
    spy.mockRestore()
  }
  const again = (await openHome(home)).store
  expect((await publish(await again.open(bundle.key), { a: '1' })).published).toBe(true)
})

test('an unchanged release is told only when it is durable: the publish before may have failed at its end', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  await publish(bundle, { a: '1' })
  const sync = vi
    .spyOn(BlockFiles.prototype, 'sync')
    .mockRejectedValueOnce(new Error('not durable'))
  try {
    await expect(publish(bundle, { a: '1' })).rejects.toThrow('not durable')
    expect((await publish(bundle, { a: '1' })).published).toBe(false)
  } finally {
    sync.mockRestore()
  }
})
