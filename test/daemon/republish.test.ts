import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { publish } from '../../src/daemon/operations/publish.ts'
import { finish } from '../author/folder.ts'
import { Person, scratch } from '../helpers/cli.ts'
import { newSettings } from '../helpers/homes.ts'

/** A folder of so many small files. */
function manyFiles(count: number): string {
  const folder = join(scratch(), 'many')
  mkdirSync(folder)
  writeFileSync(join(folder, 'repro.yaml'), 'repro: 1\nname: many\n')
  for (let i = 0; i < count; i++) {
    const below = join(folder, `d${i % 50}`)
    if (i < 50) mkdirSync(below)
    writeFileSync(join(below, `f${i}.txt`), `${i}\n`.repeat(1 + (i % 40)))
  }
  return folder
}

describe('publishing again', () => {
  it('finds 20,000 unchanged files unchanged without reading one, and one that changed', async () => {
    const settings = await newSettings()
    const folder = manyFiles(20_000)
    const later = (hours: number) => ({ now: () => new Date(Date.now() + hours * 3_600_000) })
    const first = (await finish(publish(settings, folder, later(1)))).result
    expect(first).toMatchObject({ published: true, record: { release: 1, files: 20_001 } })
    const note = readFileSync(join(folder, '.repro/bundle.json'))
    const second = await finish(publish(settings, folder, later(2)))
    expect(second.result).toMatchObject({ published: false, storedFiles: 0, storedBytes: 0 })
    const hashed = second.records.find(one => one.action === 'hash' && one.status === 'ok')
    expect(hashed).toMatchObject({ files: 0, data: { knownFiles: 20_001 } })
    expect(readFileSync(join(folder, '.repro/bundle.json'))).toEqual(note)

    writeFileSync(join(folder, 'd7/f7.txt'), 'another\n')
    const third = await finish(publish(settings, folder, later(3)))
    expect(third.result).toMatchObject({ published: true, storedFiles: 1, record: { release: 2 } })
    const all = await finish(publish(settings, folder, { ...later(4), rehash: true }))
    expect(all.result).toMatchObject({ published: false, storedFiles: 0 })
    const again = all.records.find(one => one.action === 'hash' && one.status === 'ok')
    expect(again).toMatchObject({ files: 20_001, data: { knownFiles: 0 } })
  })

  it('stores what its cache knows and another bundle does not have', async () => {
    const settings = await newSettings()
    const folder = manyFiles(60)
    const later = (hours: number) => ({ now: () => new Date(Date.now() + hours * 3_600_000) })
    const { result } = await finish(publish(settings, folder, later(1)))
    const fresh = await finish(publish(settings, folder, { ...later(2), newBundle: true }))
    expect(fresh.records.find(one => one.action === 'hash' && one.status === 'ok')?.files).toBe(0)
    expect(fresh.result).toMatchObject({ published: true, storedFiles: result.storedFiles })
    expect(fresh.result.record.contentHash).toBe(result.record.contentHash)
    expect(fresh.result.record.key).not.toBe(result.record.key)
  })

  it('stores nothing under a wrong hash of the cache', async () => {
    const settings = await newSettings()
    const folder = manyFiles(60)
    const later = (hours: number) => ({ now: () => new Date(Date.now() + hours * 3_600_000) })
    const { result } = await finish(publish(settings, folder, later(1)))
    // The cache is a convenience: what it says wrongly must not come into a release of new content.
    const { openKnown } = await import('../../src/author/known-files.ts')
    const { surveyFolder } = await import('../../src/author/prepare.ts')
    const known = await openKnown(folder, { settings, ...later(2) })
    const { tree } = await surveyFolder(folder, { settings, ...later(2) })
    known.note(tree.files[3]!, { blake3: 'ab'.repeat(32) })
    await known.save(tree.files)
    const work = finish(publish(settings, folder, later(3)))
    await expect(work).rejects.toMatchObject({ code: expect.stringMatching(/SOURCE_CHANGED|HASH/) })
    const again = await finish(publish(settings, folder, { ...later(4), rehash: true }))
    expect(again.result).toMatchObject({ published: false, record: result.record })
  })

  it('gives one of two processes the store, and leaves one history', async () => {
    const ada = new Person(scratch())
    const folder = manyFiles(300)
    const first = await ada.json(['publish', folder])
    writeFileSync(join(folder, 'd1/f1.txt'), 'another\n')
    const both = await Promise.all([ada.repro('publish', folder), ada.repro('publish', folder)])
    const codes = both.map(({ code }) => code).sort()
    expect([
      [0, 0],
      [0, 1],
    ]).toContainEqual(codes)
    for (const { code, stderr } of both) if (code === 1) expect(stderr).toMatch(/busy|in use/)
    const last = await ada.json(['publish', folder])
    expect(last.result).toMatchObject({
      published: false,
      release: 2,
      key: (first.result as { key: string }).key,
    })
  })
})
