import { randomBytes } from 'node:crypto'
import { cp, mkdir, readFile, rename, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { noteBlock } from '../../../src/archive/block-files/block-notes.ts'
import {
  installedStorage,
  TESTED_STORAGE,
} from '../../../src/archive/block-files/tested-version.ts'
import { blake3Digest } from '../../../src/system/blake3.ts'
import {
  allSums,
  bytesOf,
  bytesOutside,
  codeOf,
  damage,
  newFolder,
  openCore,
  openOurs,
  openStock,
  replicate,
  someBlocks,
  sums,
} from './stores.ts'

test('block files are laid under the version of hypercore-storage that they are tested with', () => {
  expect(installedStorage()).toBe(TESTED_STORAGE)
})

describe('another version of hypercore-storage', () => {
  test('keeps a stock store stock, and refuses one with block files', async () => {
    const stock = await openOurs(undefined, { storageVersion: '3.4.0' })
    expect(stock.files).toBeNull()
    await (await openCore(stock.store)).append(someBlocks(4))
    expect(await bytesOutside(stock.folder)).toBe(0)
    const ours = await openOurs()
    await (await openCore(ours.store)).append(someBlocks(4))
    await ours.store.close()
    expect(await codeOf(openOurs(ours.folder, { storageVersion: '3.4.0' }))).toBe(
      'FORMAT_UNSUPPORTED',
    )
  })
})

describe('replication with stock Hypercore', () => {
  const hostile = [1, 2].map(tag => Buffer.concat([Buffer.of(tag), randomBytes(48)]))

  test('from ours to stock', async () => {
    const ours = await openOurs()
    const core = await openCore(ours.store)
    const blocks = [...someBlocks(30), ...hostile]
    await core.append(blocks)
    const stock = await openStock()
    replicate(ours.store, stock)
    const copy = await openCore(stock, { key: core.key })
    await copy.update({ wait: true })
    expect(await allSums(copy)).toEqual(sums(blocks))
  })

  test('from stock to ours, and on from there, after a reopen', async () => {
    const stock = await openStock()
    const core = await openCore(stock)
    const blocks = [...someBlocks(30), ...hostile]
    await core.append(blocks)
    const ours = await openOurs()
    const cut = replicate(ours.store, stock)
    const copy = await openCore(ours.store, { key: core.key })
    await copy.update({ wait: true })
    await copy.download({ start: 0, end: blocks.length }).done()
    expect(await allSums(copy)).toEqual(sums(blocks))
    expect((await ours.files.digests(copy, [0]))[0]).toEqual(blake3Digest(blocks[0]!))
    cut()
    await ours.store.close()
    const again = await openOurs(ours.folder)
    const third = await openStock()
    replicate(again.store, third)
    const last = await openCore(third, { key: core.key })
    await last.update({ wait: true })
    expect(await allSums(last)).toEqual(sums(blocks))
  })
})

describe('a damaged block', () => {
  test('is told to the reader, not served to a peer, and fetched anew', async () => {
    const ours = await openOurs()
    const core = await openCore(ours.store)
    const blocks = someBlocks(12)
    await core.append(blocks)
    const other = await openStock()
    const cut = replicate(ours.store, other)
    const copy = await openCore(other, { key: core.key })
    await copy.update({ wait: true })
    await copy.download({ start: 0, end: blocks.length }).done()
    cut()
    await damage(ours.files, core, 4)
    await damage(ours.files, core, 6)
    expect(await codeOf(core.get(4))).toBe('BLOCK_DAMAGED')
    expect(ours.files.faults).toMatchObject([{ reason: 'damaged', length: 20_004 }])

    const third = await openStock()
    const cutThird = replicate(ours.store, third)
    const asking = await openCore(third, { key: core.key })
    await asking.update({ wait: true })
    const healthy = [0, 1, 2, 3, 5, 7, 8, 9, 10, 11]
    const waiting = asking.get(4)
    const waiting6 = asking.get(6)
    const got = await Promise.all(healthy.map(i => asking.get(i)))
    expect(sums(got)).toEqual(sums(healthy.map(i => blocks[i]!)))
    expect(await asking.has(4)).toBe(false)
    replicate(other, third)
    expect(sums([await waiting, await waiting6])).toEqual(sums([blocks[4]!, blocks[6]!]))
    cutThird()

    replicate(ours.store, other)
    for (const index of [4, 6]) {
      await core.clear(index, index + 1)
      expect(sums([await core.get(index)])).toEqual(sums([blocks[index]!]))
    }
    expect(await allSums(core)).toEqual(sums(blocks))
  })

  test('where its file is gone or cut off', async () => {
    const { folder, store, files } = await openOurs()
    const core = await openCore(store)
    await core.append(someBlocks(3))
    await store.close()
    await writeFile(join(folder, 'blocks', '1.blk'), randomBytes(30_000))
    const short = await openOurs(folder)
    const same = await openCore(short.store)
    expect(await codeOf(same.get(1))).toBe('BLOCK_DAMAGED')
    expect(await codeOf(same.get(2))).toBe('BLOCK_DAMAGED')
    const block = randomBytes(50_000)
    await same.append([block])
    expect(await codeOf(same.get(1))).toBe('BLOCK_DAMAGED')
    expect(sums([await same.get(3)])).toEqual(sums([block]))
    await short.store.close()
    await rm(join(folder, 'blocks'), { recursive: true })
    const gone = await openOurs(folder)
    const last = await openCore(gone.store)
    expect(await codeOf(last.get(0))).toBe('BLOCK_DAMAGED')
    expect(gone.files.faults).toMatchObject([{ reason: 'missing' }])
    expect(files.faults).toEqual([])
    await last.append([block])
    expect(sums([await last.get(4)])).toEqual(sums([block]))
  })

  test('a link in the place of a block file is not followed', async () => {
    const { folder, store } = await openOurs()
    const core = await openCore(store)
    await core.append(someBlocks(2))
    await store.close()
    const path = join(folder, 'blocks', '1.blk')
    await rename(path, join(folder, 'elsewhere'))
    await symlink(join(folder, 'elsewhere'), path)
    const again = await openOurs(folder)
    expect(await codeOf((await openCore(again.store)).get(0))).toBe('BLOCK_DAMAGED')
  })
})

describe('a stock store', () => {
  test('is migrated at open and gives its space in RocksDB back', async () => {
    const folder = await newFolder()
    const stock = await openStock(folder)
    const core = await openCore(stock)
    const blocks = [...someBlocks(100, 100_000), Buffer.concat([Buffer.of(1), randomBytes(48)])]
    await core.append(blocks)
    await core.clear(7, 8)
    await stock.close()
    const ours = await openOurs(folder)
    const same = await openCore(ours.store)
    const kept = (all: readonly (string | null)[]) => all.filter((_, i) => i !== 7)
    const read = await Promise.all(blocks.map((_, i) => same.get(i, { wait: false })))
    expect(kept(sums(read))).toEqual(kept(sums(blocks)))
    expect(read[7]).toBeNull()
    const usage = await ours.files.usage()
    expect(usage.liveBytes).toBe(await bytesOutside(folder))
    expect(await bytesOf(join(folder, 'db'))).toBeLessThan(1_000_000)
    await same.append([blocks[0]!])
    await ours.store.close()
    const again = await openOurs(folder)
    expect(sums([await (await openCore(again.store)).get(101)])).toEqual(sums([blocks[0]!]))
  })

  test('opened read-only is read as it is, and nothing is written', async () => {
    const folder = await newFolder()
    const stock = await openStock(folder)
    const core = await openCore(stock)
    const blocks = [...someBlocks(10), Buffer.concat([Buffer.of(1), randomBytes(48)])]
    await core.append(blocks)
    const { key } = core
    await stock.close()
    const reader = await openOurs(folder, { readOnly: true })
    const same = await openCore(reader.store, { key })
    expect(await allSums(same)).toEqual(sums(blocks))
    const extents = await reader.files.extents(same, 0, 11)
    expect(sums(extents.map(one => ('bytes' in one ? one.bytes : null)))).toEqual(sums(blocks))
    await reader.store.close()
    expect(await stat(join(folder, 'blocks')).catch(() => null)).toBeNull()
    const after = await openStock(folder)
    expect(await allSums(await openCore(after, { key }))).toEqual(sums(blocks))
  })

  test('of Hypercore 10 is refused', async () => {
    const folder = await newFolder()
    await mkdir(join(folder, 'cores'))
    await writeFile(join(folder, 'primary-key'), randomBytes(32))
    expect(await codeOf(openOurs(folder))).toBe('FORMAT_UNSUPPORTED')
  })
})

test('a copy of a store without the file that binds it to its disk still has its blocks', async () => {
  const { folder, store } = await openOurs()
  const blocks = someBlocks(8)
  await (await openCore(store)).append(blocks)
  await store.close()
  const copy = join(await newFolder(), 'copy')
  await cp(folder, copy, { recursive: true })
  await unlink(join(copy, 'CORESTORE'))
  const again = await openOurs(copy)
  expect(await allSums(await openCore(again.store))).toEqual(sums(blocks))
  expect((await again.files.extents(await openCore(again.store), 0, 1))[0]).toMatchObject({
    path: join(copy, 'blocks', '1.blk'),
  })
})

test('REPRO_BLOCK_FILES=off turns block files off', async () => {
  vi.stubEnv('REPRO_BLOCK_FILES', 'off')
  onTestFinished(() => {
    vi.unstubAllEnvs()
  })
  const { folder, store } = await openOurs()
  await (await openCore(store)).append(someBlocks(4))
  expect(await bytesOutside(folder)).toBe(0)
})

describe('the switch', () => {
  test('off: new blocks lie inside, those outside stay readable, and on again', async () => {
    const folder = await newFolder()
    const blocks = someBlocks(30)
    for (const [i, blockFiles] of [true, false, true].entries()) {
      const { store } = await openOurs(folder, { blockFiles })
      const before = await bytesOutside(folder)
      const core = await openCore(store)
      await core.append(blocks.slice(10 * i, 10 * i + 10))
      expect(await allSums(core)).toEqual(sums(blocks.slice(0, 10 * i + 10)))
      expect((await bytesOutside(folder)) > before).toBe(blockFiles)
      await store.close()
    }
  })

  test('off from the beginning: a stock store, which stock Hypercore opens', async () => {
    const { folder, store, files } = await openOurs(undefined, { blockFiles: false })
    const core = await openCore(store)
    const blocks = someBlocks(10)
    await core.append(blocks)
    expect(await files.digests(core, [0])).toEqual([blake3Digest(blocks[0]!)])
    const { key } = core
    await store.close()
    const stock = await openStock(folder)
    expect(await allSums(await openCore(stock, { key }))).toEqual(sums(blocks))
  })
})

describe('compaction', () => {
  test('removes files as it goes, so that a disk that is nearly full has room', async () => {
    const { folder, store, files } = await openOurs(undefined, { fileBytes: 200_000 })
    const core = await openCore(store)
    const blocks = Array.from({ length: 40 }, () => randomBytes(50_000))
    for (const block of blocks) await core.append([block])
    for (let i = 0; i < 40; i++) if (i % 4 !== 0) await core.clear(i, i + 1)
    const before = await bytesOutside(folder)
    let moves = 0
    const signal = {
      throwIfAborted: () => {
        moves++
        if (moves === 6) throw new Error('enough')
      },
    } as AbortSignal
    await expect(files.compact({ passBytes: 1, signal })).rejects.toThrow('enough')
    expect(await bytesOutside(folder)).toBeLessThanOrEqual(before - 5 * 150_000)
    await files.compact({ passBytes: 100_000 })
    for (let i = 0; i < 40; i += 4) expect(await core.get(i)).toEqual(blocks[i])
  })

  test('gives back what was cleared, and what no block names', async () => {
    const { folder, store, files } = await openOurs(undefined, { fileBytes: 1_000_000 })
    const core = await openCore(store)
    const blocks = Array.from({ length: 60 }, () => randomBytes(100_000))
    for (let i = 0; i < 60; i += 5) await core.append(blocks.slice(i, i + 5))
    await writeFile(join(folder, 'blocks', '77.blk'), randomBytes(500_000))
    await core.clear(0, 50)
    expect(await files.usage()).toMatchObject({ fileBytes: 6_500_000, liveBytes: 1_000_000 })
    const result = await files.compact()
    expect(result.freedBytes).toBe(5_500_000)
    expect(await bytesOutside(folder)).toBe(1_000_000)
    expect(sums(await Promise.all([50, 59].map(i => core.get(i))))).toEqual(
      sums([blocks[50]!, blocks[59]!]),
    )
    await core.append([blocks[0]!])
    await store.close()
    const again = await openOurs(folder)
    expect(sums([await (await openCore(again.store)).get(60)])).toEqual(sums([blocks[0]!]))
  })

  test('beside appends, reads and clears', async () => {
    const { store, files } = await openOurs(undefined, { fileBytes: 500_000 })
    const core = await openCore(store)
    const blocks = Array.from({ length: 300 }, () => randomBytes(20_000))
    await core.append(blocks.slice(0, 150))
    for (let i = 0; i < 150; i += 3) await core.clear(i, i + 1)
    const compacting = (async () => {
      for (let i = 0; i < 5; i++) await files.compact({ deadShare: 0.05 })
    })()
    for (let i = 150; i < 300; i += 5) {
      await core.append(blocks.slice(i, i + 5))
      await core.clear(i - 149, i - 147)
      expect((await core.get(i - 1))!.equals(blocks[i - 1]!)).toBe(true)
    }
    await compacting
    for (let i = 0; i < 300; i++)
      if (await core.has(i)) expect((await core.get(i))!.equals(blocks[i]!)).toBe(true)
    expect(files.faults).toEqual([])
  })

  test('a snapshot from before reads on', async () => {
    const { folder, store, files } = await openOurs()
    const core = await openCore(store)
    const blocks = someBlocks(20)
    await core.append(blocks)
    const snapshot = (core as unknown as { snapshot(): typeof core }).snapshot()
    await snapshot.ready()
    await core.clear(0, 18)
    await files.compact()
    expect(await bytesOutside(folder)).toBeLessThan(60_000)
    expect(await allSums(snapshot)).toEqual(sums(blocks))
    await snapshot.close()
  })

  test('a file with a damaged block stays, and so does what an atom has not stored yet', async () => {
    const { folder, store, files } = await openOurs()
    const core = await openCore(store)
    const blocks = someBlocks(20)
    await core.append(blocks)
    await core.clear(0, 10)
    await damage(files, core, 12)
    const before = await bytesOutside(folder)
    const kept = { files: 0, freedBytes: 0, movedBytes: 0 }
    expect(await files.compact({ deadShare: 0.1 })).toEqual(kept)
    expect(await bytesOutside(folder)).toBe(before)
    expect(sums([await core.get(13)])).toEqual(sums([blocks[13]!]))
    expect(await codeOf(core.get(12))).toBe('BLOCK_DAMAGED')
    const other = await openOurs()
    const second = (await openCore(other.store)) as typeof core & {
      session(options: unknown): typeof core
      state: { storage: { createAtom(): { flush(): Promise<void> } } }
    }
    await second.append(blocks.slice(0, 1))
    const atom = second.state.storage.createAtom()
    const session = second.session({ atom })
    await session.ready()
    await session.append(blocks.slice(1))
    await other.files.compact({ deadShare: 0 })
    await atom.flush()
    expect(await allSums(second)).toEqual(sums(blocks))
    expect(await bytesOutside(folder)).toBeGreaterThan(0)
  })
})

describe('in place', () => {
  async function published() {
    const ours = await openOurs()
    const path = join(await newFolder(), 'data.bin')
    const bytes = randomBytes(1_000_000)
    await writeFile(path, bytes)
    const core = await openCore(ours.store)
    const blocks = Array.from({ length: 10 }, (_, i) =>
      bytes.subarray(i * 100_000, (i + 1) * 100_000),
    )
    for (const [i, block] of blocks.entries())
      noteBlock(block, { source: { path, state: 'some state', offset: i * 100_000 } })
    await core.append(blocks)
    return { ...ours, path, core, blocks }
  }

  test('no bytes are copied; read, served, and read after a reopen', async () => {
    const { folder, store, files, path, core, blocks } = await published()
    expect(await bytesOutside(folder)).toBe(0)
    expect(await allSums(core)).toEqual(sums(blocks))
    expect(await files.usage()).toMatchObject({ sourceBytes: 1_000_000, fileBytes: 0 })
    const [extent] = await files.extents(core, 3, 4)
    expect(extent).toMatchObject({ path, offset: 300_000, length: 100_000 })
    await store.close()
    const again = await openOurs(folder)
    const stock = await openStock()
    replicate(again.store, stock)
    const copy = await openCore(stock, { key: core.key })
    await copy.update({ wait: true })
    expect(await allSums(copy)).toEqual(sums(blocks))
    const noted = Buffer.from(blocks[0]!)
    noteBlock(noted, { source: { path, state: 'some state', offset: 0 } })
    const same = await openCore(again.store)
    await same.append([noted])
    expect(sums([await same.get(10)])).toEqual(sums([blocks[0]!]))
  })

  test('a source that changed, vanished or became a link is told, and not served', async () => {
    const { files, store, path, core, blocks } = await published()
    const bytes = await readFile(path)
    bytes[250_000] = bytes[250_000]! ^ 1
    await writeFile(path, bytes)
    expect(sums([await core.get(1)])).toEqual(sums([blocks[1]!]))
    expect(await codeOf(core.get(2))).toBe('BLOCK_DAMAGED')
    expect(files.faults).toMatchObject([{ path, offset: 200_000, reason: 'source changed' }])
    const stock = await openStock()
    replicate(store, stock)
    const copy = await openCore(stock, { key: core.key })
    await copy.update({ wait: true })
    const waiting = copy.get(2).catch(() => null)
    expect(sums([await copy.get(3)])).toEqual(sums([blocks[3]!]))
    expect(await copy.has(2)).toBe(false)
    await copy.close()
    expect(await waiting).toBeNull()
    await rename(path, `${path}.old`)
    await symlink(`${path}.old`, path)
    expect(await codeOf(core.get(1))).toBe('BLOCK_DAMAGED')
    await unlink(path)
    expect(await codeOf(core.get(1))).toBe('BLOCK_DAMAGED')
    await rename(`${path}.old`, path)
    expect(sums([await core.get(1)])).toEqual(sums([blocks[1]!]))
  })

  test('a changed source of some blocks does not keep peers from the others', async () => {
    const { store } = await openOurs()
    const path = join(await newFolder(), 'data.bin')
    const bytes = randomBytes(24 * 5000)
    await writeFile(path, bytes)
    const core = await openCore(store)
    const blocks = Array.from({ length: 24 }, (_, i) => bytes.subarray(i * 5000, (i + 1) * 5000))
    for (const [i, block] of blocks.entries())
      noteBlock(block, { source: { path, state: 'as it was', offset: i * 5000 } })
    const others = [someBlocks(10), someBlocks(10)]
    await core.append([...others[0]!, ...blocks, ...others[1]!])
    await writeFile(path, randomBytes(24 * 5000))
    const stock = await openStock()
    replicate(store, stock)
    const copy = await openCore(stock, { key: core.key })
    await copy.update({ wait: true })
    const lost = blocks.map((_, i) => copy.get(10 + i).catch(() => null))
    const got = [...others[0]!.keys(), ...Array.from({ length: 10 }, (_, i) => 34 + i)]
    expect(sums(await Promise.all(got.map(i => copy.get(i))))).toEqual(sums(others.flat()))
    const [peer] = copy.peers as unknown as { paused: boolean }[]
    expect(peer!.paused).toBe(false)
    await copy.close()
    await Promise.all(lost)
  })
})
