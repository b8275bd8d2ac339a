import { lstat, open, readdir, readFile, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkoutRelease } from '../../src/archive/checkout.ts'
import { verifyRelease } from '../../src/archive/verify.ts'
import { verifyFolder } from '../../src/archive/verify-folder.ts'
import type { OpenRelease } from '../../src/core/home.ts'
import { formatFileState } from '../../src/system/file-state.ts'
import { codeOf, drain, type Files, openHome, publish, temporaryFolder } from './helpers.ts'

const DATE = new Date('2026-01-02T03:04:05Z')
const limits = { history: 'cheap', stallMs: 2000 } as const

/** Enough files that threads write them: small ones with equal and different bytes, and one that two threads share. */
function many(): Files {
  const files: Record<string, Files[string]> = {
    'bin/run': { run: '#!/bin/sh\n' },
    link: { link: 'd1/f1' },
  }
  for (let i = 0; i < 2000; i++)
    files[`d${i % 20}/f${i}`] = Buffer.alloc(1 + ((i * 37) % 9000), `${i} `)
  files['large.bin'] = Buffer.from(new Float64Array(2_500_000).map((_, i) => Math.sin(i)).buffer)
  return files
}

async function release(files: Files): Promise<{ home: string; release: OpenRelease }> {
  const { home, store } = await openHome()
  const bundle = await store.create()
  const { record } = await publish(bundle, files, { now: () => DATE })
  return { home, release: await bundle.openRelease({ release: record.release }, limits) }
}

const get = async (source: OpenRelease, folder: string, options = {}) =>
  (await drain(checkoutRelease(source, folder, options))).result
const verify = async (folder: string) => (await drain(verifyFolder(folder))).result
const CLEAN = { missing: [], changed: [], extra: [] }

test('thousands of files and a large one are written by threads, and found again without a difference', async () => {
  const files = many()
  const { release: source } = await release(files)
  const folder = await temporaryFolder()
  expect(await get(source, folder)).toMatchObject({ written: 2003, unchanged: 0, partial: false })
  for (const path of ['d0/f0', 'd19/f1999', 'd7/f1007', 'large.bin'])
    expect((await readFile(join(folder, path))).equals(files[path] as Buffer)).toBe(true)
  const script = await lstat(join(folder, 'bin/run'))
  expect([script.mode & 0o777, script.mtime]).toEqual([0o755, DATE])
  expect(await verify(folder)).toMatchObject({ ...CLEAN, files: 2002 })
  expect((await drain(verifyRelease(source))).result).toMatchObject({ ...CLEAN, files: 2002 })
  expect(await get(source, folder)).toMatchObject({ written: 0, unchanged: 2003 })
  expect(await get(source, folder, { rehash: true })).toMatchObject({ written: 0, unchanged: 2003 })
}, 60_000)

test('an edit is noticed, even of equal size and with its old date', async () => {
  const { release: source } = await release({ a: 'one', b: 'two' })
  const folder = await temporaryFolder()
  await get(source, folder)
  await writeFile(join(folder, 'a'), 'ONE')
  await utimes(join(folder, 'a'), DATE, DATE)
  expect(await codeOf(get(source, folder))).toBe('TARGET_CHANGED')
  expect(await readFile(join(folder, 'a'), 'utf8')).toBe('ONE')
})

test('what the disk damaged under an unchanged state is found by reading again, and replaced', async () => {
  const { release: source } = await release({ a: 'one', b: 'two' })
  const folder = await temporaryFolder()
  await get(source, folder)
  // A disk changes bytes and nothing else: here the note is made to fit instead.
  const before = formatFileState(await lstat(join(folder, 'a'), { bigint: true }))
  await writeFile(join(folder, 'a'), 'oNe')
  await utimes(join(folder, 'a'), DATE, DATE)
  const after = formatFileState(await lstat(join(folder, 'a'), { bigint: true }))
  const notes = join(folder, '.repro/file-states')
  const text = await readFile(notes, 'utf8')
  expect(text).toContain(before)
  await writeFile(notes, text.replace(before, after))
  expect((await verify(folder)).changed).toEqual(['a'])
  expect(await get(source, folder)).toMatchObject({ written: 0 })
  expect(await get(source, folder, { rehash: true })).toMatchObject({
    written: 0 + 1,
    unchanged: 1,
  })
  expect(await verify(folder)).toMatchObject(CLEAN)
})

test('notes that are damaged or gone only cost a reading', async () => {
  const { release: source } = await release({ a: 'one', b: 'two' })
  const folder = await temporaryFolder()
  await get(source, folder)
  await writeFile(join(folder, '.repro/file-states'), 'nonsense')
  expect(await get(source, folder)).toMatchObject({ written: 0, unchanged: 2 })
  expect(await readFile(join(folder, '.repro/file-states'), 'utf8')).toMatch(/ a\n.* b\n/)
})

test('a checkout that lost power is finished by repeating it, and keeps what a person wrote since', async () => {
  const { release: source } = await release({ a: 'one', b: 'two', c: 'three' })
  const folder = await temporaryFolder()
  await get(source, folder)
  const at = join(folder, '.repro/checkout.json')
  const state = JSON.parse(await readFile(at, 'utf8')) as object
  const cut = { ...state, complete: false, started: [source.manifest.index] }
  await writeFile(at, JSON.stringify(cut))
  await writeFile(join(folder, '.repro/file-states'), '')
  await truncate(join(folder, 'a'), 0)
  await utimes(join(folder, 'a'), DATE, DATE)
  await writeFile(join(folder, `.b.1.${'0'.repeat(12)}.tmp`), 'half')
  expect(await codeOf(verify(folder))).toBe('PARTIAL')
  await writeFile(join(folder, 'c'), 'mine!')
  expect(await codeOf(get(source, folder))).toBe('TARGET_CHANGED')
  await writeFile(join(folder, 'c'), 'three')
  expect(await get(source, folder)).toMatchObject({ written: 1, unchanged: 2 })
  expect(await verify(folder)).toMatchObject(CLEAN)
})

test('a block that is damaged in the store is told, and no file of it is written', async () => {
  const files = many()
  const { home, release: source } = await release(files)
  const folder = await temporaryFolder()
  const blocks = join(home, 'store/blocks')
  const [name] = (await readdir(blocks)).filter(one => one.endsWith('.blk'))
  const path = join(blocks, name!)
  const victim = files['d0/f120'] as Buffer
  const offset = (await readFile(path)).indexOf(victim)
  expect(offset).toBeGreaterThanOrEqual(0)
  const handle = await open(path, 'r+')
  await handle.write(Buffer.from('#'), 0, 1, offset + 5)
  await handle.close()
  const checked = (await drain(verifyRelease(source))).result
  expect(checked).toMatchObject({ missing: [], changed: ['d0/f120'], files: 2002 })
  expect(await codeOf(get(source, folder))).not.toBe('no error')
  expect(await lstat(join(folder, 'd0/f120')).catch(() => null)).toBeNull()
  const left = await readdir(folder, { recursive: true })
  expect(left.filter(one => one.endsWith('.tmp'))).toEqual([])
}, 60_000)

test('a sparse file is sparse again', async () => {
  const sparse = Buffer.alloc(48 << 20)
  sparse.write('begin')
  sparse.write('end', sparse.length - 3)
  const { release: source } = await release({ sparse })
  const folder = await temporaryFolder()
  await get(source, folder)
  const stats = await lstat(join(folder, 'sparse'))
  expect(stats.size).toBe(sparse.length)
  expect(stats.blocks * 512).toBeLessThan(4 << 20)
  expect(await verify(folder)).toMatchObject(CLEAN)
}, 60_000)
