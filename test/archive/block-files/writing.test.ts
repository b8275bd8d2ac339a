import { randomBytes } from 'node:crypto'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { noteBlock } from '../../../src/archive/block-files/block-notes.ts'
import {
  allSums,
  bytesOutside,
  codeOf,
  newFolder,
  openCore,
  openOurs,
  openStock,
  replicate,
  someBlocks,
  sums,
} from './stores.ts'

/** Every file of this process takes at most `bytes` in one call, and fails once `room` of them are used up. */
async function smallDisk(room: number, bytes = Number.POSITIVE_INFINITY) {
  const handle = await open(new URL(import.meta.url), 'r')
  const prototype = Object.getPrototypeOf(handle) as typeof handle
  await handle.close()
  const { writev } = prototype
  let left = room
  const spy = vi.spyOn(prototype, 'writev').mockImplementation(async function (
    this: typeof handle,
    buffers,
    position,
  ) {
    const first = buffers[0]! as Buffer
    const now = first.subarray(0, Math.min(first.length, bytes, left))
    if (now.length === 0)
      throw Object.assign(new Error('ENOSPC: no space left on device, writev'), { code: 'ENOSPC' })
    left -= now.length
    return (await writev.call(this, [now], position)) as never
  })
  onTestFinished(() => spy.mockRestore())
  return () => {
    left = Number.POSITIVE_INFINITY
  }
}

describe('writing', () => {
  test('goes on after short writes', async () => {
    await smallDisk(Number.POSITIVE_INFINITY, 7_000)
    const { folder, store } = await openOurs()
    const core = await openCore(store)
    const blocks = someBlocks(10)
    await core.append(blocks)
    expect(await allSums(core)).toEqual(sums(blocks))
    expect(await bytesOutside(folder)).toBe(
      blocks.filter(one => one.length > 4096).reduce((all, one) => all + one.length, 0),
    )
  })

  test('a full disk: the append fails with words, nothing points at it, and the next one works', async () => {
    const free = await smallDisk(100_000)
    const { folder, store } = await openOurs()
    const core = await openCore(store)
    const blocks = [50_000, 80_000, 30_000].map(size => randomBytes(size))
    await core.append(blocks.slice(0, 1))
    expect(await codeOf(core.append(blocks.slice(1)))).toBe('DISK_FULL')
    expect(core.length).toBe(1)
    expect(await bytesOutside(folder)).toBe(50_000)
    free()
    await core.append(blocks.slice(2))
    expect(await allSums(core)).toEqual(sums([blocks[0]!, blocks[2]!]))
    await store.close()
    const again = await openOurs(folder)
    const same = await openCore(again.store)
    expect(await allSums(same)).toEqual(sums([blocks[0]!, blocks[2]!]))
  })

  test('a full disk while a peer sends: it is fetched when there is room again', async () => {
    const stock = await openStock()
    const core = await openCore(stock)
    const blocks = Array.from({ length: 20 }, () => randomBytes(20_000))
    await core.append(blocks)
    const free = await smallDisk(90_000)
    const ours = await openOurs()
    const cut = replicate(ours.store, stock)
    const copy = await openCore(ours.store, { key: core.key })
    await copy.update({ wait: true })
    const first = await Promise.allSettled(blocks.map((_, i) => copy.get(i, { timeout: 2000 })))
    expect(first.some(one => one.status === 'rejected')).toBe(true)
    cut()
    free()
    replicate(ours.store, stock)
    expect(await allSums(copy)).toEqual(sums(blocks))
  })

  test('sync over several block files, and appends after it', async () => {
    const folder = await newFolder()
    const { store, files } = await openOurs(folder, { fileBytes: 50_000 })
    const core = await openCore(store)
    for (let i = 0; i < 40; i++) await core.append(someBlocks(4))
    await files.sync()
    await files.sync()
    expect((await files.usage()).files).toBeGreaterThan(30)
    await core.append(someBlocks(4))
    expect(core.length).toBe(164)
  })

  test('after a sync that failed nothing more is written: the kernel says only once that bytes are lost', async () => {
    const { store, files } = await openOurs()
    const core = await openCore(store)
    await core.append([randomBytes(50_000)])
    const handle = await open(new URL(import.meta.url), 'r')
    const spy = vi
      .spyOn(Object.getPrototypeOf(handle) as typeof handle, 'datasync')
      .mockRejectedValueOnce(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' }))
    await handle.close()
    onTestFinished(() => spy.mockRestore())
    for (let i = 0; i < 2; i++) expect(await codeOf(files.sync())).toBe('WRITE_FAILED')
    expect(await codeOf(core.append([randomBytes(50_000)]))).toBe('WRITE_FAILED')
  })

  test("an author's file is durable before what points into it is told", async () => {
    const { store, files } = await openOurs()
    const core = await openCore(store)
    const bytes = randomBytes(50_000)
    const path = join(await newFolder(), 'file')
    await writeFile(path, bytes)
    noteBlock(bytes, { source: { path, state: 'some state', offset: 0 } })
    await core.append([bytes])
    const handle = await open(new URL(import.meta.url), 'r')
    const spy = vi.spyOn(Object.getPrototypeOf(handle) as typeof handle, 'datasync')
    await handle.close()
    onTestFinished(() => spy.mockRestore())
    await files.sync()
    expect(spy).toHaveBeenCalledTimes(1)
    await files.sync()
    expect(spy).toHaveBeenCalledTimes(1)
  })
})
