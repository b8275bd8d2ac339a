import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import {
  allSums,
  bytesOutside,
  newFolder,
  openCore,
  openOurs,
  openStock,
  someBlocks,
  sums,
} from './stores.ts'

/** A process that is killed at the moment; returns the signal it ended by, or its exit code. */
function killAt(moment: string, folder: string, count = 1): string | number | null {
  const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
  const argv = ['--import', path('../../helpers/typescript.mjs'), path('killed.ts')]
  const { signal, status, stderr } = spawnSync(
    process.execPath,
    [...argv, moment, folder, String(count)],
    { encoding: 'utf8' },
  )
  return signal ?? (status === 0 ? 0 : stderr)
}

describe('a process that was killed', () => {
  test('between the bytes and what points at them: the old state, and the next append is right', async () => {
    const folder = await newFolder()
    const before = await openOurs(folder)
    const blocks = someBlocks(6)
    await (await openCore(before.store)).append(blocks)
    await before.store.close()
    const outside = await bytesOutside(folder)
    expect(killAt('append', folder)).toBe('SIGKILL')
    expect(await bytesOutside(folder)).toBe(outside + 40_000)
    const after = await openOurs(folder)
    const core = await openCore(after.store)
    expect(await allSums(core)).toEqual(sums(blocks))
    const more = someBlocks(5)
    await core.append(more)
    expect(await allSums(core)).toEqual(sums([...blocks, ...more]))
  })

  test('in a migration: goes on from there, and reads right before it does', async () => {
    const folder = await newFolder()
    const stock = await openStock(folder)
    const names = ['blocks', 'more', 'and more']
    const blocks = names.map(() => someBlocks(40, 1_000_000))
    for (const [i, name] of names.entries())
      await (await openCore(stock, { name })).append(blocks[i]!)
    await stock.close()
    for (const times of [1, 2, 3]) {
      expect(killAt('migrate', folder, times)).toBe('SIGKILL')
      const reader = await openOurs(folder, { readOnly: true })
      for (const [i, name] of names.entries())
        expect(await allSums(await openCore(reader.store, { name }))).toEqual(sums(blocks[i]!))
      const digests = await reader.files.digests(await openCore(reader.store), [0, 39, 40])
      expect(digests.map(one => one?.toString('hex') ?? null)).toEqual(
        [...sums([blocks[0]![0]!, blocks[0]![39]!]), null].map(one => one?.split(' ')[1] ?? null),
      )
      await reader.store.close()
    }
    const after = await openOurs(folder)
    for (const [i, name] of names.entries()) {
      const core = await openCore(after.store, { name })
      expect(await allSums(core)).toEqual(sums(blocks[i]!))
    }
    expect((await after.files.usage()).inlineBytes).toBeLessThan(100_000)
  })

  test('in a compaction: nothing is lost, and the next one gives the disk back', async () => {
    const folder = await newFolder()
    const before = await openOurs(folder, { fileBytes: 2_000_000 })
    const core = await openCore(before.store)
    const blocks = someBlocks(400, 100_000)
    for (let i = 0; i < 400; i += 20) await core.append(blocks.slice(i, i + 20))
    for (let i = 0; i < 400; i += 2) await core.clear(i, i + 1)
    await before.store.close()
    for (const times of [1, 1]) expect(killAt('compact', folder, times)).toBe('SIGKILL')
    const after = await openOurs(folder, { fileBytes: 2_000_000 })
    const same = await openCore(after.store)
    const odd = Array.from({ length: 200 }, (_, i) => 2 * i + 1)
    const read = async () => sums(await Promise.all(odd.map(i => same.get(i))))
    const expected = sums(odd.map(i => blocks[i]!))
    expect(await read()).toEqual(expected)
    const { liveBytes } = await after.files.usage()
    await after.files.compact({ deadShare: 0.1 })
    expect(await read()).toEqual(expected)
    expect(await bytesOutside(folder)).toBeLessThan(1.1 * liveBytes)
    expect((await after.files.usage()).liveBytes).toBe(liveBytes)
  })
})
