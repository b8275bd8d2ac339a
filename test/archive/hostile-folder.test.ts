import { execFileSync } from 'node:child_process'
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkoutRelease } from '../../src/archive/checkout.ts'
import { repairFolderRecords } from '../../src/archive/housekeeping/repair-folder.ts'
import type { OpenRelease } from '../../src/core/home.ts'
import { formatFileState } from '../../src/system/file-state.ts'
import { codeOf, drain, type Files, openHome, publish, temporaryFolder } from './helpers.ts'

const DATE = new Date('2026-01-02T03:04:05Z')
const NOTES = '.repro/file-states'

async function releases(...contents: Files[]): Promise<OpenRelease[]> {
  const { store } = await openHome()
  const bundle = await store.create()
  const opened: OpenRelease[] = []
  for (const files of contents) {
    const { record } = await publish(bundle, files, { now: () => DATE })
    const limits = { history: 'cheap', stallMs: 2000 } as const
    opened.push(await bundle.openRelease({ release: record.release }, limits))
  }
  return opened
}

/** A fetched folder of which a person moved `d` elsewhere and put a link in its place. */
async function movedAway(release: OpenRelease) {
  const folder = await temporaryFolder()
  await drain(checkoutRelease(release, folder))
  const elsewhere = join(await temporaryFolder(), 'd')
  await rename(join(folder, 'd'), elsewhere)
  await symlink(elsewhere, join(folder, 'd'))
  return { folder, elsewhere }
}

test.each([false, true])(
  'nothing behind a link is removed, though it was fetched once (force: %s)',
  async force => {
    const [first, second] = await releases({ 'd/x': 'x', 'd/y': 'y', e: 'e' }, { e: 'new' })
    const { folder, elsewhere } = await movedAway(first!)
    const { result } = await drain(checkoutRelease(second!, folder, { force }))
    expect(result).toMatchObject({ written: 1, removed: 0 })
    expect(await readFile(join(elsewhere, 'x'), 'utf8')).toBe('x')
    expect(await readFile(join(elsewhere, 'y'), 'utf8')).toBe('y')
  },
)

test('a file that would be written behind a link stops the checkout before anything is touched', async () => {
  const [first, second] = await releases({ 'd/x': 'x', 'd/y': 'y', e: 'e' }, { 'd/y': 'z', e: 'f' })
  const { folder, elsewhere } = await movedAway(first!)
  expect(await codeOf(drain(checkoutRelease(second!, folder)))).toBe('TARGET_CHANGED')
  expect((await readdir(elsewhere)).sort()).toEqual(['x', 'y'])
  expect(await readFile(join(folder, 'e'), 'utf8')).toBe('e')
})

test('forged notes of files behind a link do not make them ours', async () => {
  const [first, second] = await releases({ 'd/x': 'x', e: 'e' }, { e: 'e' })
  const victim = await temporaryFolder()
  await writeFile(join(victim, 'x'), 'the letters of a person')
  const folder = await temporaryFolder()
  await drain(checkoutRelease(first!, folder))
  await rm(join(folder, 'd'), { recursive: true })
  await symlink(victim, join(folder, 'd'))
  const state = formatFileState(await lstat(join(victim, 'x'), { bigint: true }))
  await writeFile(join(folder, NOTES), `repro file states 1\n${'0'.repeat(64)} ${state} d/x\n`)
  await drain(checkoutRelease(second!, folder))
  expect(await readdir(victim)).toEqual(['x'])
})

test('a folder that became a link in a checkout that was cut off does not cost what it points at', async () => {
  const [first, second] = await releases({ 'a/x': 'x' }, { a: { link: 'b' }, 'b/x': 'x' })
  const folder = await temporaryFolder()
  await drain(checkoutRelease(first!, folder))
  await drain(checkoutRelease(second!, folder))
  await drain(checkoutRelease(first!, folder))
  const path = join(folder, '.repro/checkout.json')
  const state = JSON.parse(await readFile(path, 'utf8'))
  await writeFile(
    path,
    JSON.stringify({ ...state, complete: false, started: [second!.manifest.index] }),
  )
  await rm(join(folder, 'a'), { recursive: true })
  await mkdir(join(folder, 'b'))
  await writeFile(join(folder, 'b/x'), 'x')
  await utimes(join(folder, 'b/x'), DATE, DATE)
  await symlink('b', join(folder, 'a'))
  await drain(checkoutRelease(second!, folder))
  expect(await readFile(join(folder, 'b/x'), 'utf8')).toBe('x')
})

const spoil: Record<string, (path: string) => Promise<void>> = {
  'a pipe': async path => {
    await rm(path)
    execFileSync('mkfifo', [path])
  },
  'too large': path => truncate(path, 2_000_000_000),
  'a link to a device': async path => {
    await rm(path)
    await symlink('/dev/zero', path)
  },
  'writable by others': path => chmod(path, 0o666),
}

test.each(Object.keys(spoil))('notes that are %s are not read, nor believed', async kind => {
  const [release] = await releases({ a: 'aaaa' })
  const folder = await temporaryFolder()
  await drain(checkoutRelease(release!, folder))
  // Other bytes in a file whose state is just what the notes say.
  const file = join(folder, 'a')
  await writeFile(file, 'bbbb')
  await utimes(file, DATE, DATE)
  const state = formatFileState(await lstat(file, { bigint: true }))
  const notes = await readFile(join(folder, NOTES), 'utf8')
  expect(notes).toMatch(/^[0-9a-f]{64} \S+ a$/m)
  await writeFile(join(folder, NOTES), notes.replace(/ \S+ a$/m, ` ${state} a`))
  expect((await drain(checkoutRelease(release!, folder))).result).toMatchObject({ unchanged: 1 })
  await writeFile(join(folder, NOTES), notes.replace(/ \S+ a$/m, ` ${state} a`))
  await spoil[kind]!(join(folder, NOTES))
  const before = process.memoryUsage.rss()
  expect(await codeOf(drain(checkoutRelease(release!, folder)))).toBe('TARGET_CHANGED')
  expect(process.memoryUsage.rss() - before).toBeLessThan(500_000_000)
})

test('records are not written again through a link', async () => {
  const [release] = await releases({ a: 'a' })
  const folder = await temporaryFolder()
  const elsewhere = await temporaryFolder()
  await symlink(elsewhere, join(folder, '.repro'))
  expect(await codeOf(repairFolderRecords(folder, release!))).toBe('PATH_UNSAFE')
  expect(await readdir(elsewhere)).toEqual([])
})
