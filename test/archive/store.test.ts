import { randomBytes } from 'node:crypto'
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStore } from '../../src/archive/store.ts'
import { verifyRelease } from '../../src/archive/verify.ts'
import { ReproError } from '../../src/core/errors.ts'
import type { PublishResult } from '../../src/core/home.ts'
import { openSeed } from '../../src/system/seed.ts'
import { requires } from '../helpers/requires.ts'
import { buildChild, start } from './child-process.ts'
import {
  all,
  bytesOf,
  codeOf,
  drain,
  openHome,
  prepare,
  publish,
  temporaryFolder,
} from './helpers.ts'

let program = ''
let remove = async () => {}
beforeAll(async () => {
  const built = await buildChild()
  program = built.program
  remove = built.remove
})
afterAll(() => remove())
const node = (...args: string[]) => start([process.execPath, program, ...args])

test('a store that another process has says so, and by which process', async () => {
  const home = await temporaryFolder()
  const holder = node('hold', home)
  await holder.line(value => 'holding' in value)
  const error = await openStore(home, await openSeed(home)).catch((e: ReproError) => e)
  expect(error).toBeInstanceOf(ReproError)
  expect((error as ReproError).code).toBe('STORE_BUSY')
  expect((error as ReproError).message).toContain(`process ${holder.process.pid}`)
  expect((error as ReproError).hints.length).toBeGreaterThan(0)
  holder.process.kill('SIGKILL')
  await holder.ended
  await openHome(home)
})

test('a store that was copied is refused with words, and its own bundles sync before they are written', async () => {
  const { home, store } = await openHome()
  const { key } = await store.create()
  await publish(await store.open(key), { a: '1' })
  await store.close()
  const copy = await temporaryFolder()
  await cp(home, copy, { recursive: true })
  const error = await openStore(copy, await openSeed(copy)).catch((e: ReproError) => e)
  expect(error).toMatchObject({ code: 'STORE_INVALID' })
  expect((error as ReproError).message).toMatch(/is a copy/)
  expect((error as ReproError).hints.join()).toContain(`rm "${copy}/store/CORESTORE"`)

  await rm(join(copy, 'store', 'CORESTORE'))
  const adopted = await openHome(copy)
  const bundle = await adopted.store.open(key)
  expect((await bundle.openRelease({}, { history: 'all', stallMs: 0 })).record.release).toBe(1)
  expect(await bundle.unsynced()).toBe('imported')
  expect(await codeOf(publish(bundle, { a: '2' }))).toBe('SYNC_NEEDED')
  await adopted.store.close()
  const again = await openHome(copy)
  const reopened = await again.store.open(key)
  expect(await codeOf(publish(reopened, { a: '2' }))).toBe('SYNC_NEEDED')
  await reopened.mayWrite()
  expect((await publish(reopened, { a: '2' })).record.release).toBe(2)
})

test('a home that was moved within a disk goes on', async () => {
  const { home, store } = await openHome()
  const { key } = await store.create()
  await publish(await store.open(key), { a: '1' })
  await store.close()
  const there = join(await temporaryFolder(), 'moved')
  await rename(home, there)
  await mkdir(home)
  const moved = await openHome(there)
  expect((await publish(await moved.store.open(key), { a: '2' })).record.release).toBe(2)
})

test('a store of another seed is refused with words', async () => {
  const { home, store } = await openHome()
  await publish(await store.create(), { a: '1' })
  await store.close()
  await rm(join(home, 'seed'))
  expect(await codeOf(openStore(home, await openSeed(home)))).toBe('STORE_INVALID')
})

test('a clock that goes back is said, and changes nothing else', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  const at = (time: string) => ({ now: () => new Date(time) })
  await publish(bundle, { a: '1' }, at('2026-05-01T00:00:00Z'))
  const work = bundle.publish(await prepare({ a: '2' }), at('2025-01-01T00:00:00Z'))
  const { records, result } = await drain(work)
  expect(result.record).toMatchObject({ release: 2, date: '2025-01-01T00:00:00.000Z' })
  expect(records.find(one => one.action === 'note')?.message).toMatch(/check the clock/)
  const { records: later } = await drain(
    bundle.publish(await prepare({ a: '3' }), at('2025-06-01T00:00:00Z')),
  )
  expect(later.find(one => one.action === 'note')).toBeUndefined()
  const log = await bundle.releases({ history: 'all', stallMs: 0 })
  expect(log.map(one => [one.release, one.fault])).toEqual([
    [1, null],
    [2, null],
    [3, null],
  ])
  expect((await bundle.openRelease({}, { history: 'all', stallMs: 0 })).record.release).toBe(3)
})

test('two publishes of one bundle at once run one after the other', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  const results = await Promise.all([
    publish(bundle, { a: '1', big: 'x'.repeat(300_000) }),
    publish(bundle, { a: '2' }),
    publish(bundle, { a: '3', big: 'x'.repeat(300_000) }),
  ])
  expect(results.map(one => one.record.release).sort()).toEqual([1, 2, 3])
  const log = await bundle.releases({ history: 'all', stallMs: 0 })
  expect(log.map(one => one.fault)).toEqual([null, null, null])
})

test('the id of a bundle is on disk before anything is written under its key', async () => {
  const { home, store } = await openHome()
  const bundle = await store.create()
  const file = JSON.parse(await readFile(join(home, 'bundles', `${bundle.key}.json`), 'utf8'))
  expect(file).toMatchObject({ format: 0, key: bundle.key })
  expect(await store.list()).toEqual([{ key: bundle.key, name: null, writable: true, releases: 0 }])
  expect(await store.open(bundle.key)).toBe(bundle)
  expect((await store.create()).key).not.toBe(bundle.key)
  await publish(bundle, { a: '1' })
  await store.close()
  const again = await openHome(home)
  const reopened = await again.store.open(bundle.key)
  expect(reopened.writable).toBe(true)
  expect((await publish(reopened, { a: '2' })).record.release).toBe(2)
})

async function folderOf(files: number, bytesEach: number): Promise<string> {
  const folder = await temporaryFolder()
  for (let i = 0; i < files; i++) await writeFile(join(folder, `f${i}`), randomBytes(bytesEach))
  return folder
}

/** Whatever a killed publish left: no release of it, no fault, and the next publish makes a whole one. */
async function recovers(home: string, folder: string, key: string): Promise<PublishResult> {
  const { store } = await openHome(home)
  const bundle = await store.open(key)
  const before = await bundle.releases({ history: 'all', stallMs: 0 })
  expect(before.every(one => one.fault === null)).toBe(true)
  await store.close()
  const child = node('publish', home, folder, key, 'never')
  const { result } = await child.line<{ result: PublishResult }>(value => 'result' in value)
  await child.ended
  const again = await openHome(home)
  const reopened = await again.store.open(key)
  const release = await reopened.openRelease({}, { history: 'all', stallMs: 0 })
  expect(release.record.release).toBe(before.length + (result.published ? 1 : 0))
  expect((await drain(verifyRelease(release))).result).toMatchObject({ missing: [], changed: [] })
  await again.store.close()
  return result
}

test.each([
  ['store start', 8, 8],
  ['progress store', 24, 23],
  ['store ok', 8, 0],
  ['index ok', 8, 0],
  ['release start', 8, 0],
])(
  'a publish killed at "%s" leaves no release, and what it stored is used again',
  async (phase, files, atMost) => {
    const home = await temporaryFolder()
    const folder = await folderOf(files, 6 << 20)
    const child = node('publish', home, folder, 'new', phase)
    const { key } = await child.line<{ key: string }>(value => 'key' in value)
    await child.line(value => 'stopped' in value)
    child.process.kill('SIGKILL')
    await child.ended
    const { published, storedFiles } = await recovers(home, folder, key)
    expect(published).toBe(true)
    expect(storedFiles).toBeLessThanOrEqual(atMost)
  },
)

test('a publish killed at any moment leaves a store that goes on', async () => {
  const home = await temporaryFolder()
  const folder = await folderOf(40, 1 << 20)
  let key = 'new'
  for (const delayMs of [40, 90, 150, 220]) {
    const child = node('publish', home, folder, key, 'never')
    key = (await child.line<{ key: string }>(value => 'key' in value)).key
    await new Promise(resolve => setTimeout(resolve, delayMs))
    child.process.kill('SIGKILL')
    await child.ended
    await writeFile(join(folder, 'f7'), randomBytes(1 << 20))
  }
  await recovers(home, folder, key)
})

test('a full disk ends with DISK_FULL, and the next publish carries on', async t => {
  requires(t, 'user namespaces')
  const folder = await folderOf(6, 6 << 20)
  const disk = await temporaryFolder()
  await mkdir(join(disk, 'mount'))
  const mount = join(disk, 'mount')
  const child = start([
    'unshare',
    '--user',
    '--map-root-user',
    '--mount',
    '--',
    'sh',
    '-c',
    'mount -t tmpfs -o size=160m none "$1" && exec "$2" "$3" fill "$1" "$4"',
    'sh',
    mount,
    process.execPath,
    program,
    folder,
  ])
  const first = await child.line<{ attempt: object }>(value => 'attempt' in value)
  const second = await child.line<{ attempt: object }>(value => 'attempt' in value)
  expect(first.attempt).toMatchObject({ code: 'DISK_FULL' })
  expect(second.attempt).toEqual({ release: 1, changed: [], missing: [] })
})

test('reads of one release share what they opened, and each ends with its own signal', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  await publish(bundle, Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`f${i}`, `${i}`])))
  const release = await bundle.openRelease({}, { history: 'cheap', stallMs: 0 })
  const files = (await all(release.entries())).filter(entry => entry.type === 'file')
  const read = async (i: number, signal?: AbortSignal) =>
    (await bytesOf(release.read(files[i]!, signal))).toString()
  const signals = Array.from({ length: 20 }, () => new AbortController())
  const texts = await Promise.all(files.map((_, i) => read(i, signals[i % 20]!.signal)))
  expect(texts).toEqual(files.map(({ path }) => path.slice(1)))
  for (const i of [0, 19]) signals[i]!.abort()
  expect(await codeOf(read(0, signals[0]!.signal))).toBe('INTERRUPTED')
  expect(await codeOf(read(1, signals[19]!.signal))).toBe('INTERRUPTED')
  expect(await read(2, signals[1]!.signal)).toBe(texts[2])
  expect(await read(3)).toBe(texts[3])
  const wrong = { ...files[4]!, size: 100 }
  expect(await codeOf(bytesOf(release.read(wrong)))).toBe('HASH_MISMATCH')
  const absent = { ...files[4]!, path: 'absent' }
  expect(await codeOf(bytesOf(release.read(absent)))).toBe('HASH_MISMATCH')
  await release.close()
  const again = await bundle.openRelease({}, { history: 'cheap', stallMs: 0 })
  expect((await bytesOf(again.read(files[5]!))).toString()).toBe(texts[5])
  await again.close()
})
