import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { StatCache, type StatCacheOptions, type StatFile } from '../../src/system/stat-cache.ts'
import { scratch } from '../helpers/cli.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const at = (ms: number) => () => new Date(NOW + ms)
const HASH = 'ab'.repeat(32)

/** A file of a folder that was changed so long before NOW. */
function fileIn(folder: string, path: string, agoMs = 60_000, fine = 123): StatFile {
  const ns = BigInt(NOW - agoMs) * 1_000_000n + BigInt(fine)
  return { path, state: `${statSync(folder).dev}:7:5:${ns}:${ns}`, mode: 0o100644 }
}

function places() {
  const root = scratch()
  const [cache, folder] = [join(root, 'cache'), join(root, 'folder')]
  mkdirSync(folder)
  const open = (options: StatCacheOptions = {}) =>
    StatCache.open(cache, folder, { now: at(0), ...options })
  const only = () => join(cache, 'stat', readdirSync(join(cache, 'stat'))[0]!)
  return { cache, folder, open, only }
}

/** A cache that knows one file, and a look at whether it still does. */
async function knowing(agoMs = 60_000, fine = 123) {
  const place = places()
  const file = fileIn(place.folder, 'data/ä.txt', agoMs, fine)
  const first = await place.open()
  first.note(file, { blake3: HASH, marked: true })
  expect(await first.save([file])).toBeNull()
  const hash = async (options: StatCacheOptions = {}) => (await place.open(options)).hashOf(file)
  return { ...place, file, hash }
}

describe('StatCache', () => {
  it('knows what was noted while nothing of the file moved', async () => {
    const { open, file, only } = await knowing()
    const known = await open()
    expect(known.hashOf(file)).toBe(HASH)
    expect(known.isMarked(file)).toBe(true)
    const parts = file.state.split(':')
    for (const i of parts.keys()) {
      const other = parts.map((part, j) => (i === j ? `${BigInt(part) + 1n}` : part)).join(':')
      expect(known.hashOf({ ...file, state: other })).toBeNull()
    }
    expect(known.hashOf({ ...file, mode: 0o100755 })).toBeNull()
    expect(known.isMarked({ ...file, path: 'data/b.txt' })).toBe(false)
    expect(statSync(only()).mode & 0o777).toBe(0o600)
  })

  it('keeps hash and mark apart, and forgets what is gone', async () => {
    const { open, folder } = places()
    const [a, b] = [fileIn(folder, 'a'), fileIn(folder, 'b')]
    const first = await open()
    first.note(a, { blake3: HASH })
    first.note(b, { marked: true })
    await first.save([a, b])
    const second = await open()
    expect([second.hashOf(a), second.isMarked(a)]).toEqual([HASH, false])
    expect([second.hashOf(b), second.isMarked(b)]).toEqual([null, true])
    second.note(a, { marked: true })
    await second.save([a])
    const third = await open()
    expect([third.hashOf(a), third.isMarked(a)]).toEqual([HASH, true])
    expect(third.isMarked(b)).toBe(false)
  })

  it.each([
    ['settled long ago', 60_000, 123, true],
    ['just older than the clock is coarse', 150, 123, true],
    ['as young as a change that leaves no trace', 50, 123, false],
    ['of whole seconds, three ago', 3000, 0, true],
    ['of whole seconds, one ago', 1000, 0, false],
    ['of the future', -3_600_000, 123, false],
  ])('stamps %s', async (_, agoMs, fine, kept) => {
    const { hash } = await knowing(agoMs, fine)
    expect(await hash()).toBe(kept ? HASH : null)
  })

  it('takes stamps of another device for coarse ones', async () => {
    const { open, folder } = places()
    const near = fileIn(folder, 'near', 1000)
    const far = { ...near, path: 'far', state: near.state.replace(/^\d+/, '999999') }
    const first = await open()
    for (const file of [near, far]) first.note(file, { blake3: HASH })
    await first.save([near, far])
    const second = await open()
    expect([second.hashOf(near), second.hashOf(far)]).toEqual([HASH, null])
  })

  it('believes nothing that was written later than the clock says', async () => {
    const { hash } = await knowing()
    expect(await hash({ now: at(-1000) })).toBeNull()
    expect(await hash({ now: at(0) })).toBe(HASH)
  })

  it('takes no mark of another meaning, and distrusts all when asked to', async () => {
    const { open, file } = await knowing()
    const other = await open({ marks: 'other' })
    expect([other.hashOf(file), other.isMarked(file)]).toEqual([HASH, false])
    const again = await open({ rehash: true })
    expect(again.hashOf(file)).toBeNull()
    again.note(file, { blake3: 'cd'.repeat(32) })
    await again.save([file])
    expect((await open()).hashOf(file)).toBe('cd'.repeat(32))
  })

  it('is empty when a single byte of it is another, or some are missing', async () => {
    const { hash, only } = await knowing()
    const whole = readFileSync(only())
    for (let i = 0; i < whole.length; i += 7) {
      const bad = Buffer.from(whole)
      bad[i]! ^= 1
      writeFileSync(only(), bad)
      expect(await hash()).toBeNull()
    }
    for (const size of [0, 10, 90, whole.length - 1]) {
      writeFileSync(only(), whole)
      truncateSync(only(), size)
      expect(await hash()).toBeNull()
    }
    writeFileSync(only(), whole)
    expect(await hash()).toBe(HASH)
  })

  it('is empty when others can write it, when it is a link, and when it is of another folder', async () => {
    const { hash, only, cache } = await knowing()
    const path = only()
    chmodSync(path, 0o660)
    expect(await hash()).toBeNull()
    chmodSync(path, 0o600)
    renameSync(path, `${path}.real`)
    symlinkSync(`${path}.real`, path)
    expect(await hash()).toBeNull()
    rmSync(path)
    renameSync(`${path}.real`, path)
    expect(await hash()).toBe(HASH)
    const other = join(cache, '..', 'other')
    const second = await StatCache.open(cache, other, { now: at(0) })
    const file = fileIn(join(cache, '..'), 'x')
    second.note(file, { blake3: HASH })
    await second.save([file])
    const names = readdirSync(join(cache, 'stat')).map(name => join(cache, 'stat', name))
    copyFileSync(path, names.find(name => name !== path)!)
    expect((await StatCache.open(cache, other, { now: at(0) })).hashOf(file)).toBeNull()
  })

  it('says why it cannot be kept, and throws nothing', async () => {
    const { cache, open, folder } = places()
    mkdirSync(cache)
    writeFileSync(join(cache, 'stat'), 'no folder')
    const known = await open()
    const file = fileIn(folder, 'a')
    expect(known.hashOf(file)).toBeNull()
    known.note(file, { blake3: HASH })
    expect(await known.save([file])).toMatch(/./)
  })

  it('holds many files, and a bounded number of folders', async () => {
    const { cache, open, folder } = places()
    const files = Array.from({ length: 20_000 }, (_, i) => fileIn(folder, `d${i % 100}/ü${i}`))
    const hashOf = (i: number) => i.toString(16).padStart(64, '0')
    const first = await open()
    for (const [i, file] of files.entries()) first.note(file, { blake3: hashOf(i) })
    await first.save(files)
    const second = await open()
    expect(files.filter((file, i) => second.hashOf(file) !== hashOf(i))).toEqual([])
    for (let i = 0; i < 70; i++) {
      const other = await StatCache.open(cache, `${folder}${i}`, { now: at(0) })
      other.note(files[0]!, { blake3: HASH })
      await other.save([files[0]!])
    }
    expect(readdirSync(join(cache, 'stat'))).toHaveLength(64)
  })

  it('is whole when several write it at once', async () => {
    const { open, folder } = places()
    const files = Array.from({ length: 500 }, (_, i) => fileIn(folder, `f${i}`))
    await Promise.all(
      Array.from({ length: 8 }, async (_, n) => {
        const known = await open()
        for (const file of files) known.note(file, { blake3: `${n}`.repeat(64) })
        expect(await known.save(files)).toBeNull()
      }),
    )
    const known = await open()
    const hashes = new Set(files.map(file => known.hashOf(file)))
    expect(hashes.size).toBe(1)
    expect([...hashes][0]).toMatch(/^(\d)\1{63}$/)
  })
})
