import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { noteBlock } from '../../src/archive/block-files/block-notes.ts'
import {
  decodeValue,
  encodePointer,
  MAX_BLOCK_BYTES,
  type Pointer,
} from '../../src/archive/block-files/stored-value.ts'
import { BlockTable } from '../../src/archive/block-table.ts'
import { BlockSet } from '../../src/archive/housekeeping/block-set.ts'
import { UsedBlocks } from '../../src/archive/used-blocks.ts'
import { newFolder, openCore, openOurs } from './block-files/stores.ts'

const GIB = 2 ** 30

/** Numbers about those where 32 bits, signed or not, and doubles end. */
const near = (max: number) =>
  fc
    .tuple(
      fc.constantFrom(0, 2 ** 31, 2 ** 32, 2 ** 33, 2 ** 40, max),
      fc.integer({ min: -70, max: 70 }),
    )
    .map(([base, by]) => Math.min(max, Math.max(0, base + by)))

describe('numbers beyond 32 bits', () => {
  test('a pointer is read as it was written', () => {
    const pointer = fc.record({
      kind: fc.constantFrom('file', 'source'),
      id: near(2 ** 32 - 1),
      offset: near(Number.MAX_SAFE_INTEGER),
      length: fc.oneof(fc.constantFrom(0, MAX_BLOCK_BYTES), fc.nat(MAX_BLOCK_BYTES)),
      blake3: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(bytes => Buffer.from(bytes)),
    })
    fc.assert(
      fc.property(pointer, one => {
        expect(decodeValue(encodePointer(one as Pointer))).toEqual(one)
      }),
    )
  })

  test('an offset that no number holds exactly is no pointer', () => {
    const value = encodePointer({
      kind: 'file',
      id: 1,
      offset: 0,
      length: 9,
      blake3: Buffer.alloc(32),
    })
    for (const offset of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
      value.writeBigUInt64LE(offset, 5)
      expect(decodeValue(value)).toEqual({ kind: 'invalid' })
    }
  })

  test('sets of blocks are right on both sides of 2^31 and 2^32', () => {
    const block = fc.tuple(fc.constantFrom(2 ** 31, 2 ** 32), fc.integer({ min: -200, max: 200 }))
    const set = new BlockSet(2 ** 32 + 300)
    const used = new UsedBlocks(2 ** 32 - 300)
    const added = new Set<number>()
    fc.assert(
      fc.property(block, fc.nat(40), ([base, by], count) => {
        const start = base + by
        set.add(start, start + count)
        if (base === 2 ** 32) used.add(start, start + count)
        for (let i = start; i < start + count; i++) added.add(i)
      }),
    )
    for (const base of [0, 2 ** 31, 2 ** 32])
      for (let i = Math.max(0, base - 250); i < base + 250; i++)
        expect(set.has(i), `${i}`).toBe(added.has(i))
    const free = [...used.gaps(2 ** 32 + 250)].flatMap(({ start, end }) =>
      Array.from({ length: end - start }, (_, i) => start + i),
    )
    const wanted = Array.from({ length: 550 }, (_, i) => 2 ** 32 - 300 + i)
    expect(free).toEqual(wanted.filter(one => !added.has(one)))
  })

  test('a table gives the numbers of blocks beyond 2^32', () => {
    const digests = Array.from({ length: 100 }, () => randomBytes(32))
    const table = new BlockTable(2 ** 32 - 50, new Uint32Array(0), 64)
    for (const digest of digests) table.push(digest)
    expect(table.find(digests[99]!)).toEqual([2 ** 32 + 49])
    expect(table.end).toBe(2 ** 32 + 50)
  })
})

test('a block behind the first 5 GiB of a file is read where it lies', async () => {
  const path = join(await newFolder(), 'sparse.bin')
  const block = randomBytes(100_000)
  const offset = 5 * GIB + 12_345
  const handle = await open(path, 'w')
  await handle.write(block, 0, block.length, offset)
  await handle.close()
  const { store, folder } = await openOurs()
  const core = await openCore(store)
  noteBlock(block, { source: { path, state: 'some state', offset } })
  await core.append([block])
  await store.close()
  const again = await openOurs(folder)
  const same = await openCore(again.store)
  expect((await same.get(0))!.equals(block)).toBe(true)
  expect(await again.files.extentsAt(same, [0])).toMatchObject([{ path, offset }])
})
