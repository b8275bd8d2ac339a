import { randomBytes } from 'node:crypto'
import type { HypercoreStorage } from 'hypercore-storage'
import Hyperdrive from 'hyperdrive'
import { describe, expect, test } from 'vitest'
import { noteBlock } from '../../../src/archive/block-files/block-notes.ts'
import { blockFilesOf } from '../../../src/archive/block-files/open-block-storage.ts'
import { blake3Digest } from '../../../src/system/blake3.ts'
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

interface Atom {
  flush(): Promise<void>
}
type WideCore = Awaited<ReturnType<typeof openCore>> & {
  session(options?: Record<string, unknown>): WideCore
  snapshot(): WideCore
  truncate(length: number): Promise<void>
  commit(session: WideCore): Promise<unknown>
  createReadStream(): AsyncIterable<Buffer>
  core: { audit(): Promise<Record<string, unknown>> }
  state: { storage: HypercoreStorage & { createAtom(): Atom } }
}
const wide = async (...args: Parameters<typeof openCore>) => (await openCore(...args)) as WideCore

describe("Hypercore's own ways over block files", () => {
  test('append, get, and the same after a reopen', async () => {
    const { folder, store } = await openOurs()
    const core = await openCore(store)
    const blocks = someBlocks(40)
    await core.append(blocks.slice(0, 30))
    await core.append(blocks.slice(30))
    expect(await allSums(core)).toEqual(sums(blocks))
    await store.close()
    const again = await openOurs(folder)
    const same = await openCore(again.store)
    expect(await allSums(same)).toEqual(sums(blocks))
    await same.append([blocks[0]!])
    expect(sums([await same.get(40)])).toEqual(sums([blocks[0]!]))
    const large = blocks.filter(one => one.length >= 4096).reduce((all, one) => all + one.length, 0)
    expect(await bytesOutside(folder)).toBe(large + blocks[0]!.length)
  })

  test('a block of no bytes, of one, around the size that lies outside, and of 15 MiB', async () => {
    const { store } = await openOurs()
    const core = await openCore(store)
    const blocks = [0, 1, 4095, 4096, 4097, 15 * 1024 * 1024].map(size => randomBytes(size))
    await core.append(blocks)
    expect(await allSums(core)).toEqual(sums(blocks))
  })

  test('a snapshot keeps what was, past truncate, new blocks and clear', async () => {
    const { store } = await openOurs()
    const core = await wide(store)
    const blocks = someBlocks(20)
    await core.append(blocks)
    const snapshot = core.snapshot()
    await snapshot.ready()
    await core.append(someBlocks(5))
    expect(snapshot.length).toBe(20)
    expect(await allSums(snapshot)).toEqual(sums(blocks))
    await core.truncate(10)
    const other = someBlocks(6)
    await core.append(other)
    expect(await allSums(core)).toEqual(sums([...blocks.slice(0, 10), ...other]))
    expect(sums([await snapshot.get(2)])).toEqual(sums([blocks[2]!]))
    await snapshot.close()
  })

  test('named sessions: written apart, read through, committed', async () => {
    const { folder, store, files } = await openOurs()
    const core = await wide(store)
    const blocks = someBlocks(12)
    await core.append(blocks)
    const session = core.session({ name: 'draft' })
    await session.ready()
    const more = someBlocks(8)
    await session.append(more)
    expect(await allSums(session)).toEqual(sums([...blocks, ...more]))
    expect(await session.has(0, 20)).toBe(true)
    expect(core.length).toBe(12)
    const extents = await files.extents(session, 0, 20)
    expect(extents.map(one => one.length)).toEqual([...blocks, ...more].map(one => one.length))
    await core.commit(session)
    expect(await allSums(core)).toEqual(sums([...blocks, ...more]))
    await session.close()
    await store.close()
    const again = await openOurs(folder)
    expect(await allSums(await openCore(again.store))).toEqual(sums([...blocks, ...more]))
  })

  test('an atom: read before its flush, stored at its flush, gone without one', async () => {
    const { folder, store } = await openOurs()
    const core = await wide(store)
    const blocks = someBlocks(4)
    await core.append(blocks)
    const atom = core.state.storage.createAtom()
    const session = core.session({ atom })
    await session.ready()
    const more = someBlocks(5)
    await session.append(more)
    expect(await allSums(session)).toEqual(sums([...blocks, ...more]))
    expect(core.length).toBe(4)
    await atom.flush()
    expect(await allSums(core)).toEqual(sums([...blocks, ...more]))
    await session.close()
    const lost = core.state.storage.createAtom()
    const other = core.session({ atom: lost })
    await other.ready()
    await other.append(someBlocks(5))
    await other.close()
    await store.close()
    const again = await openOurs(folder)
    expect(await allSums(await openCore(again.store))).toEqual(sums([...blocks, ...more]))
  })

  test('truncate and append again, clear, has', async () => {
    const { folder, store } = await openOurs()
    const core = await wide(store)
    const blocks = someBlocks(10)
    await core.append(blocks)
    await core.truncate(4)
    const other = someBlocks(4)
    await core.append(other)
    await core.clear(0, 2)
    await core.clear(5, 6)
    expect(await core.get(0, { wait: false })).toBeNull()
    expect(await core.get(5, { wait: false })).toBeNull()
    expect(await core.has(5)).toBe(false)
    await store.close()
    const again = await openOurs(folder)
    const same = await openCore(again.store)
    expect(sums([await same.get(4)])).toEqual(sums([other[0]!]))
    expect(await same.get(1, { wait: false })).toBeNull()
    expect(await again.files.extents(same, 0, 8)).toHaveLength(5)
  })

  test('streams of blocks, and an audit that finds nothing wrong', async () => {
    const { store } = await openOurs()
    const core = await wide(store)
    const blocks = someBlocks(30)
    await core.append(blocks)
    const read: Buffer[] = []
    for await (const block of core.createReadStream()) read.push(block)
    expect(sums(read)).toEqual(sums(blocks))
    const stored: Buffer[] = []
    for await (const { index, value } of core.state.storage.createBlockStream({ gte: 3, lt: 9 })) {
      expect(index).toBe(3 + stored.length)
      stored.push(value)
    }
    expect(sums(stored)).toEqual(sums(blocks.slice(3, 9)))
    expect(await core.core.audit()).toMatchObject({
      blocks: 30,
      droppedBlocks: 0,
      droppedBits: 0,
      corrupt: false,
    })
  })

  test('an exported core has the blocks as they were appended', async () => {
    const { store, storage } = await openOurs()
    const core = await openCore(store)
    const blocks = someBlocks(6)
    await core.append(blocks)
    const exported = await storage.export(core.discoveryKey)
    expect(sums(exported!.data[0]!.blocks.map(one => one.value))).toEqual(sums(blocks))
  })

  test('an encrypted core: only ciphertext outside, notes and sources have no effect', async () => {
    const { folder, store, files } = await openOurs()
    const encryptionKey = randomBytes(32)
    const core = await openCore(store, { name: 'secret', encryptionKey })
    const blocks = Array.from({ length: 5 }, () => Buffer.alloc(9000, 'plain text '))
    for (const [i, block] of blocks.entries())
      noteBlock(block, {
        blake3: randomBytes(32),
        source: { path: '/nowhere', state: '1', offset: i },
      })
    await core.append(blocks)
    expect(await allSums(core)).toEqual(sums(blocks))
    const extents = await files.extents(core, 0, 5)
    expect(extents.every(one => 'path' in one && one.path.startsWith(folder))).toBe(true)
    const stored = (await core.get(2, { raw: true } as object))!
    expect(stored.includes('plain text')).toBe(false)
    expect(extents[2]!.blake3).toEqual(blake3Digest(stored))
  })

  test('several cores and drives in one store, written at once', async () => {
    const { folder, store } = await openOurs()
    const cores = await Promise.all([1, 2, 3].map(n => openCore(store, { name: `core ${n}` })))
    const blocks = cores.map(() => someBlocks(30))
    await Promise.all(
      cores.map(async (core, n) => {
        for (const block of blocks[n]!) await core.append([block])
      }),
    )
    const spaces = store as unknown as { namespace(name: string): typeof store }
    const drives = [1, 2].map(n => new Hyperdrive(spaces.namespace(`drive ${n}`)))
    const bytes = randomBytes(300_000)
    for (const drive of drives) {
      await drive.ready()
      await drive.put('/a/file', bytes)
    }
    const version = drives[0]!.version
    await drives[0]!.put('/a/file', Buffer.from('new'))
    expect((await drives[0]!.checkout(version).get('/a/file'))!.equals(bytes)).toBe(true)
    expect((await drives[1]!.get('/a/file'))!.equals(bytes)).toBe(true)
    for (const drive of drives) await drive.close()
    await store.close()
    const again = await openOurs(folder)
    for (const [n, expected] of blocks.entries())
      expect(await allSums(await openCore(again.store, { name: `core ${n + 1}` }))).toEqual(
        sums(expected),
      )
  })

  test('two stores of ours and a stock one in one process', async () => {
    const [one, two, stock] = [await openOurs(), await openOurs(), await openStock()]
    const blocks = someBlocks(10)
    const cores = await Promise.all([one.store, two.store, stock].map(store => openCore(store)))
    for (const core of cores) await core.append(blocks)
    for (const core of cores) expect(await allSums(core)).toEqual(sums(blocks))
    expect(blockFilesOf(stock.storage)).toBeNull()
    const key = cores[2]!.key
    await stock.close()
    const again = await openStock(stock.storage.path)
    expect(await allSums(await openCore(again, { key }))).toEqual(sums(blocks))
    expect(await bytesOutside(stock.storage.path)).toBe(0)
  })

  test('blocks that look like pointers are blocks', async () => {
    const { store, files } = await openOurs()
    const core = await openCore(store)
    await core.append([randomBytes(50_000)])
    const [first] = await files.extents(core, 0, 1)
    const pointers = [1, 2, 0, 255].map(tag => {
      const value = Buffer.alloc(49)
      value[0] = tag
      value.writeUInt32LE(1, 1)
      value.writeUInt32LE(50_000, 13)
      value.set(first!.blake3!, 17)
      return value
    })
    const hostile = [...pointers, Buffer.concat([pointers[0]!, Buffer.alloc(8)]), Buffer.of(1)]
    await core.append(hostile)
    expect((await allSums(core)).slice(1)).toEqual(sums(hostile))
  })

  test('an append of thousands of blocks, over several block files', async () => {
    const { folder, store } = await openOurs(await newFolder(), { fileBytes: 1_000_000 })
    const core = await openCore(store)
    const blocks = Array.from({ length: 3000 }, () => randomBytes(4200))
    await core.append(blocks.slice(0, 2500))
    for (let i = 2500; i < 3000; i += 50) await core.append(blocks.slice(i, i + 50))
    expect(await allSums(core)).toEqual(sums(blocks))
    await store.close()
    const again = await openOurs(folder, { fileBytes: 1_000_000 })
    expect((await again.files.usage()).files).toBeGreaterThan(1)
    expect(await allSums(await openCore(again.store))).toEqual(sums(blocks))
  })
})
