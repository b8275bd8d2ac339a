import { chmod, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkoutRelease } from '../../src/archive/checkout.ts'
import { openFolderRelease } from '../../src/archive/folder-release.ts'
import { checkQuickly } from '../../src/archive/quick-check.ts'
import { verifyFolder } from '../../src/archive/verify-folder.ts'
import { codeOf, drain, type Files, openHome, publish, temporaryFolder } from './helpers.ts'

const limits = { history: 'cheap', stallMs: 2000 } as const
const CLEAN = { missing: [], changed: [], extra: [] }

/** Small files of plain names, some that are not plain, and one that is large. */
function many(): Files {
  const files: Record<string, Files[string]> = {
    'bin/run': { run: '#!/bin/sh\n' },
    'd3/link': { link: 'f3' },
    'd3/über "x".txt': 'not plain',
    'd4/.hidden': 'a name with a dot',
    'd5/empty': '',
    'large.bin': Buffer.alloc(3 << 20, 'large'),
  }
  for (let i = 0; i < 1500; i++) files[`d${i % 30}/f${i}`] = `${i} `.repeat(1 + (i % 40))
  return files
}

async function checkedOut(): Promise<string> {
  const { store } = await openHome()
  const bundle = await store.create()
  const { record } = await publish(bundle, many(), {})
  const release = await bundle.openRelease({ release: record.release }, limits)
  const folder = await temporaryFolder()
  await drain(checkoutRelease(release, folder))
  return folder
}

const verify = async (folder: string) => (await drain(verifyFolder(folder))).result
const quickly = async (folder: string) => {
  const work = checkQuickly(await openFolderRelease(folder), path => path.startsWith('.repro/'))
  for (;;) {
    const step = await work.next()
    if (step.done) return step.value
  }
}

test('most of a sound folder is found right at once, what is not plain or large is left over', async () => {
  const folder = await checkedOut()
  const found = await quickly(folder)
  expect(found?.large.map(file => file.path)).toEqual(['large.bin'])
  const left = found!.parts.reduce((sum, part) => sum + part.entries, 0)
  expect(found!.files + left + 1).toBe(1506)
  expect(found!.files).toBeGreaterThan(200)
  expect(await verify(folder)).toMatchObject({ ...CLEAN, files: 1505 })
})

test('every kind of fault is told in a folder of many files', async () => {
  const folder = await checkedOut()
  const at = (path: string) => join(folder, path)
  const text = await readFile(at('d7/f7'), 'utf8')
  await writeFile(at('d7/f7'), text.replace('7', '8'))
  await writeFile(at('d8/f8'), `${await readFile(at('d8/f8'), 'utf8')}.`)
  await chmod(at('d9/f9'), 0o755)
  await chmod(at('bin/run'), 0o644)
  await rm(at('d10/f10'))
  await rm(at('d11/f11'))
  await symlink('f41', at('d11/f11'))
  await rm(at('d12/f12'))
  await mkdir(at('d12/f12'))
  await writeFile(at('large.bin'), Buffer.alloc(3 << 20, 'Large'))
  await writeFile(at('d13/more'), '')
  await mkdir(at('d14/none'))
  expect(await verify(folder)).toMatchObject({
    missing: ['d10/f10'],
    changed: ['bin/run', 'd11/f11', 'd12/f12', 'd7/f7', 'd8/f8', 'd9/f9', 'large.bin'],
    extra: ['d13/more', 'd14/none'],
    files: 1504,
  })
})

test.each([
  ['a file', (folder: string) => writeFile(join(folder, 'd20/zz'), ''), 'd20/zz'],
  ['a folder', (folder: string) => mkdir(join(folder, 'd20/zz')), 'd20/zz'],
  ['a link', (folder: string) => symlink('f20', join(folder, 'd20/zz')), 'd20/zz'],
])('%s more is found where nothing else is wrong', async (_, add, path) => {
  const folder = await checkedOut()
  await add(folder)
  expect(await verify(folder)).toMatchObject({ ...CLEAN, extra: [path] })
})

test('a link in the place of a folder is not followed, even to the right files', async () => {
  const folder = await checkedOut()
  const elsewhere = join(await temporaryFolder(), 'd21')
  await rename(join(folder, 'd21'), elsewhere)
  await symlink(elsewhere, join(folder, 'd21'))
  const { changed, missing } = await verify(folder)
  expect(missing).toEqual([])
  expect(changed).toHaveLength(50)
  expect(changed.every(path => path.startsWith('d21/'))).toBe(true)
})

test('a segment of the index that is damaged or missing is no list of files', async () => {
  const folder = await checkedOut()
  const index = join(folder, '.repro/index')
  for (const name of await readdir(index)) {
    const text = await readFile(join(index, name), 'utf8')
    if (!text.includes('"path":"d22/f52"')) continue
    await writeFile(join(index, name), text.replace('d22/f52', 'd22/f53'))
    expect(await codeOf(verify(folder))).toBe('HASH_MISMATCH')
    await rm(join(index, name))
    expect(await codeOf(verify(folder))).toBe('HASH_MISMATCH')
    return
  }
  throw new Error('no segment lists d22/f52')
})

test('it ends at once when it is aborted', async () => {
  const folder = await checkedOut()
  const stop = new AbortController()
  stop.abort()
  await expect(drain(verifyFolder(folder, stop.signal))).rejects.toThrow(/abort/i)
})
