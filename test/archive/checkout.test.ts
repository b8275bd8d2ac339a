import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkoutRelease } from '../../src/archive/checkout.ts'
import { diffReleases } from '../../src/archive/diff.ts'
import { openFolderRelease } from '../../src/archive/folder-release.ts'
import { findTwins } from '../../src/archive/path-twins.ts'
import { verifyRelease } from '../../src/archive/verify.ts'
import { verifyFolder } from '../../src/archive/verify-folder.ts'
import type { OpenRelease } from '../../src/core/home.ts'
import {
  all,
  codeOf,
  drain,
  entryOf,
  type Files,
  openHome,
  prepareEntries,
  publish,
  temporaryFolder,
} from './helpers.ts'

const first: Files = {
  README: 'one\n',
  'bin/run.sh': { run: '#!/bin/sh\n' },
  'data/a.txt': 'a',
  'data/old/gone.txt': 'gone',
  empty: { folder: true },
  link: { link: 'data/a.txt' },
  '.repro/images/tools/index.json': '{}',
}
const { 'data/old/gone.txt': _gone, ...kept } = first
const second: Files = { ...kept, README: 'two\n', 'data/new.txt': 'new', 'data/old': 'a file now' }
const limits = { history: 'cheap', stallMs: 2000 } as const

async function releases(...contents: Files[]): Promise<OpenRelease[]> {
  const { store } = await openHome()
  const bundle = await store.create()
  const opened: OpenRelease[] = []
  for (const files of contents) {
    const { record } = await publish(bundle, files, { now: () => new Date('2026-01-02T03:04:05Z') })
    opened.push(await bundle.openRelease({ release: record.release }, limits))
  }
  return opened
}
const verify = async (folder: string) => (await drain(verifyFolder(folder))).result

test('a checkout has the bytes, modes, links, folders and times of the release, and verifies offline', async () => {
  const [release] = await releases(first)
  const folder = await temporaryFolder()
  const { result } = await drain(checkoutRelease(release!, folder))
  expect(result).toMatchObject({ written: 7, unchanged: 0, removed: 0, partial: false })
  expect(await readFile(join(folder, 'README'), 'utf8')).toBe('one\n')
  expect((await lstat(join(folder, 'bin/run.sh'))).mode & 0o777).toBe(0o755)
  expect(await readlink(join(folder, 'link'))).toBe('data/a.txt')
  expect((await lstat(join(folder, 'empty'))).isDirectory()).toBe(true)
  expect((await lstat(join(folder, 'README'))).mtime.toISOString()).toBe('2026-01-02T03:04:05.000Z')
  expect(await verify(folder)).toMatchObject({
    missing: [],
    changed: [],
    extra: [],
    files: 5,
    identity: { release: 1, key: release!.identity.key },
  })
  expect((await drain(checkoutRelease(release!, folder))).result).toMatchObject({
    written: 0,
    unchanged: 7,
  })
})

test('verify names each missing, changed and extra file', async () => {
  const [release] = await releases(first)
  const folder = await temporaryFolder()
  await drain(checkoutRelease(release!, folder))
  await writeFile(join(folder, 'README'), 'One\n')
  await rm(join(folder, 'data/a.txt'))
  await writeFile(join(folder, 'data/more.txt'), '')
  await mkdir(join(folder, 'more'))
  await chmod(join(folder, 'bin/run.sh'), 0o644)
  await rm(join(folder, 'link'))
  await symlink('README', join(folder, 'link'))
  await writeFile(join(folder, '.repro/images/tools/extra'), '')
  const { records, result } = await drain(verifyFolder(folder))
  expect(result).toMatchObject({
    missing: ['data/a.txt'],
    changed: ['README', 'bin/run.sh', 'link'],
    extra: ['.repro/images/tools/extra', 'data/more.txt', 'more'],
  })
  expect(records.find(one => one.subject === 'link')?.message).toBe(
    'points to "README", expected "data/a.txt"',
  )
  expect(records.find(one => one.subject === 'README')?.message).toMatch(/has the hash .* expected/)
})

test('a forged record, manifest or index beside a checkout is noticed', async () => {
  const [release] = await releases(first)
  const folder = await temporaryFolder()
  await drain(checkoutRelease(release!, folder))
  const damage = async (path: string, change: (text: string) => string) => {
    const text = await readFile(join(folder, path), 'utf8')
    await writeFile(join(folder, path), change(text))
    const code = await codeOf(verify(folder))
    await writeFile(join(folder, path), text)
    return code
  }
  expect(
    await damage('.repro/releases/1.json', text =>
      text.replace('"files":6', '"files":5').replace('"files":5', '"files":4'),
    ),
  ).toBe('SIGNATURE_INVALID')
  expect(await damage('.repro/releases/1.json', () => 'nonsense')).toBe('RECORD_INVALID')
  expect(
    await damage('.repro/manifest.json', text => text.replace('test-bundle', 'best-bundle')),
  ).toBe('HASH_MISMATCH')
  const segment = `.repro/index/${release!.manifest.index.blake3}.jsonl`
  expect(await damage(segment, text => text.replace('README', 'READYOU'))).toBe('HASH_MISMATCH')
  expect(await codeOf(verify(folder))).toBe('no error')
})

test('a second checkout replaces only what the user has not changed', async () => {
  const [one, two] = await releases(first, second)
  const folder = await temporaryFolder()
  await drain(checkoutRelease(one!, folder))
  await writeFile(join(folder, 'notes.txt'), 'mine')
  await writeFile(join(folder, 'README'), 'my own words\n')
  expect(await codeOf(drain(checkoutRelease(two!, folder)))).toBe('TARGET_CHANGED')
  expect(await readFile(join(folder, 'README'), 'utf8')).toBe('my own words\n')
  expect(await readFile(join(folder, 'data/old/gone.txt'), 'utf8')).toBe('gone')
  await writeFile(join(folder, 'README'), 'one\n')
  expect((await drain(checkoutRelease(two!, folder))).result).toMatchObject({
    written: 3,
    removed: 1,
    unchanged: 5,
  })
  expect(await verify(folder)).toMatchObject({
    missing: [],
    changed: [],
    extra: ['notes.txt'],
    identity: { release: 2 },
  })
  await writeFile(join(folder, 'README'), 'my own words\n')
  expect((await drain(checkoutRelease(one!, folder, { force: true }))).result).toMatchObject({
    written: 2,
  })
  expect(await verify(folder)).toMatchObject({
    missing: [],
    changed: [],
    extra: ['notes.txt'],
    identity: { release: 1 },
  })
})

test('files that were there before are not overwritten', async () => {
  const [one] = await releases(first)
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'README'), 'mine')
  expect(await codeOf(drain(checkoutRelease(one!, folder)))).toBe('TARGET_CHANGED')
  expect(await readFile(join(folder, 'README'), 'utf8')).toBe('mine')
})

test('a folder where a file must go stays, even by force', async () => {
  const [one] = await releases({ README: 'one\n' })
  const folder = await temporaryFolder()
  for (const inside of [[], ['mine']]) {
    await mkdir(join(folder, 'README'), { recursive: true })
    for (const name of inside) await writeFile(join(folder, 'README', name), '')
    const work = drain(checkoutRelease(one!, folder, { force: true }))
    expect(await codeOf(work)).toBe('TARGET_CHANGED')
    expect(await readdir(join(folder, 'README'))).toEqual(inside)
    expect(await readdir(folder)).toEqual(['.repro', 'README'])
  }
})

test('a checkout never writes through a link', async () => {
  const [one] = await releases(first)
  const folder = await temporaryFolder()
  const elsewhere = await temporaryFolder()
  await symlink(elsewhere, join(folder, 'data'))
  expect(await codeOf(drain(checkoutRelease(one!, folder)))).toBe('TARGET_CHANGED')
  expect(await codeOf(drain(checkoutRelease(one!, folder, { force: true })))).toBe('PATH_UNSAFE')
  expect(await codeOf(lstat(join(elsewhere, 'a.txt')))).toBe('ENOENT')
})

test('a partial checkout can be widened, and what was not asked for is not missing', async () => {
  const [one, two] = await releases(first, second)
  const folder = await temporaryFolder()
  const filter = (path: string) => path.startsWith('data/')
  expect((await drain(checkoutRelease(one!, folder, { filter }))).result).toMatchObject({
    written: 2,
    partial: true,
  })
  expect(await verify(folder)).toMatchObject({
    missing: [],
    changed: [],
    extra: [],
    partial: true,
    files: 2,
  })
  expect((await drain(checkoutRelease(two!, folder, { filter }))).result).toMatchObject({
    partial: true,
    removed: 1,
  })
  expect(await verify(folder)).toMatchObject({ missing: [], changed: [], extra: [] })
  expect((await drain(checkoutRelease(two!, folder))).result).toMatchObject({ partial: false })
  expect(await verify(folder)).toMatchObject({
    missing: [],
    changed: [],
    extra: [],
    partial: false,
  })
})

/** A release whose file `path` cannot be read. */
const failingAt = (release: OpenRelease, path: string): OpenRelease => ({
  record: release.record,
  identity: release.identity,
  manifest: release.manifest,
  manifestText: release.manifestText,
  entries: prefix => release.entries(prefix),
  segment: hash => release.segment!(hash),
  fetch: files => release.fetch(files),
  held: files => release.held(files),
  read: (file, signal) => {
    if (file.path === path) throw new Error('pulled out')
    return release.read(file, signal)
  },
  close: () => release.close(),
})

test('an interrupted checkout is finished by repeating it', async () => {
  const [one, two] = await releases(first, second)
  const folder = await temporaryFolder()
  await drain(checkoutRelease(one!, folder))
  const failing = failingAt(two!, 'data/new.txt')
  expect(await codeOf(drain(checkoutRelease(failing, folder)))).toBe('INTERNAL')
  await writeFile(join(folder, `.README.123.${'ab'.repeat(6)}.tmp`), 'half')
  await drain(checkoutRelease(two!, folder))
  expect(await verify(folder)).toMatchObject({
    missing: [],
    changed: [],
    extra: [],
    identity: { release: 2 },
  })
})

test('a partial checkout misses what was asked for and is gone, in every part that was asked for', async () => {
  const [one] = await releases(first)
  const folder = await temporaryFolder()
  const only = (wanted: string) => ({ filter: (path: string) => path === wanted })
  await drain(checkoutRelease(one!, folder, only('README')))
  await drain(checkoutRelease(one!, folder, only('data/a.txt')))
  expect(await verify(folder)).toMatchObject({ missing: [], partial: true, files: 2 })
  await rm(join(folder, 'README'))
  await rm(join(folder, 'data/a.txt'))
  expect(await verify(folder)).toMatchObject({
    missing: ['README', 'data/a.txt'],
    changed: [],
    extra: [],
    partial: true,
  })
  await drain(checkoutRelease(one!, folder, only('data/a.txt')))
  expect(await verify(folder)).toMatchObject({ missing: [], partial: true, files: 1 })
})

test('after interrupted checkouts a newer release needs no force, and changes of the user are kept', async () => {
  const contents = ['0', '1', '2', '3'].map(n => ({ a: `a${n}`, [`only-${n}`]: n, z: `z${n}` }))
  const opened = await releases(...contents)
  for (const begunBefore of [false, true]) {
    const folder = await temporaryFolder()
    if (begunBefore) await drain(checkoutRelease(opened[0]!, folder))
    for (const release of [opened[1]!, opened[2]!]) {
      expect(await codeOf(drain(checkoutRelease(failingAt(release, 'z'), folder)))).toBe('INTERNAL')
      expect(await readFile(join(folder, 'a'), 'utf8')).toBe(`a${release.identity.release! - 1}`)
    }
    await writeFile(join(folder, 'a'), 'mine')
    expect(await codeOf(drain(checkoutRelease(opened[3]!, folder)))).toBe('TARGET_CHANGED')
    await writeFile(join(folder, 'a'), 'a1')
    await drain(checkoutRelease(opened[3]!, folder))
    expect(await verify(folder)).toMatchObject({
      missing: [],
      changed: [],
      extra: [],
      files: 3,
      identity: { release: 4 },
    })
  }
})

test('a checkout heals index segments beside it that a crash left empty, and leaves right ones alone', async () => {
  const [one] = await releases(first)
  const folder = await temporaryFolder()
  await drain(checkoutRelease(one!, folder))
  const segment = join(folder, `.repro/index/${one!.manifest.index.blake3}.jsonl`)
  const { ino } = await lstat(segment)
  await drain(checkoutRelease(one!, folder))
  expect((await lstat(segment)).ino).toBe(ino)
  await writeFile(segment, '')
  expect(await codeOf(verify(folder))).toBe('HASH_MISMATCH')
  expect((await drain(checkoutRelease(one!, folder, { force: true }))).result.written).toBe(0)
  expect(await codeOf(verify(folder))).toBe('no error')
})

test('a stored release is re-hashed', async () => {
  const [one] = await releases(first)
  expect((await drain(verifyRelease(one!))).result).toMatchObject({
    files: 5,
    missing: [],
    changed: [],
  })
})

test('a folder can be opened as a release', async () => {
  const [one] = await releases(first)
  const folder = await temporaryFolder()
  await drain(checkoutRelease(one!, folder))
  const release = await openFolderRelease(folder)
  expect(await all(release.entries())).toEqual(await all(one!.entries()))
  expect(await codeOf(openFolderRelease(await temporaryFolder()))).toBe('NOT_FOUND')
})

test('a diff names what was added, removed and changed, and reads only segments that differ', async () => {
  const many = Object.fromEntries(
    Array.from({ length: 3000 }, (_, i) => [`f/${i}`, entryOf(`f/${i}`, `${i}`)]),
  )
  const a = prepareEntries('/nowhere', Object.values(many))
  const b = prepareEntries('/nowhere', [
    ...Object.values({ ...many, 'f/17': entryOf('f/17', 'other') }).filter(
      one => one.path !== 'f/2500',
    ),
    entryOf('g', 'new'),
  ])
  let reads = 0
  const counted = (side: typeof a) => ({
    ...side,
    segment: async (hash: string) => {
      reads++
      return side.segments.get(hash) ?? null
    },
  })
  const differences = await all(diffReleases(counted(a), counted(b)))
  expect(differences.map(one => [one.change, one.path])).toEqual([
    ['changed', 'f/17'],
    ['removed', 'f/2500'],
    ['added', 'g'],
  ])
  expect(reads).toBeLessThan(14)
  expect(a.segments.size).toBeGreaterThan(30)
  expect(await all(diffReleases(a, a))).toEqual([])
  expect((await all(diffReleases(prepareEntries('/nowhere', []), b))).length).toBe(3000)
})

test('twins are found at any depth, and fit where the file system tells them apart', async () => {
  expect(findTwins(['a/x', 'A/y', 'b', 'é', 'e\u0301', 'c/d', 'c/e'])).toEqual([
    ['a', 'A'],
    ['é', 'e\u0301'],
  ])
  const [release] = await releases({ 'Data/x': '1', 'data/x': '2' })
  const folder = await temporaryFolder()
  const work = codeOf(drain(checkoutRelease(release!, folder)))
  expect(await work).toBe(process.platform === 'linux' ? 'no error' : 'PATH_UNSAFE')
})
