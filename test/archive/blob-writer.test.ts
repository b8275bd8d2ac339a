import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import Corestore from 'corestore'
import type Hypercore from 'hypercore'
import { expect, onTestFinished, test } from 'vitest'
import { BlobWriter } from '../../src/archive/blob-writer.ts'
import { digestsOf } from '../../src/archive/block-digests.ts'
import { BlockTable } from '../../src/archive/block-table.ts'
import { blake3Digest } from '../../src/system/blake3.ts'
import { temporaryFolder } from './helpers.ts'

const Hyperblobs = createRequire(import.meta.url)('hyperblobs') as new (
  core: Hypercore,
) => { get(id: unknown): Promise<Buffer> }

const MAX_MAPPED = 10

async function coreOf(): Promise<Hypercore> {
  const store = new Corestore(join(await temporaryFolder(), 'stock'))
  const core = store.get({ name: 'bytes' })
  await core.ready()
  onTestFinished(() => store.close())
  return core
}

const someBlocks = (count: number) => Array.from({ length: count }, () => randomBytes(200))

/** Stores a content of many blocks, and reads it back as a stock reader does. */
async function storeIn(core: Hypercore, writer: BlobWriter, blocks: readonly Buffer[]) {
  const open = writer.begin()
  for (let at = 0; at < blocks.length; at += 4) {
    const part = blocks.slice(at, at + 4).map(bytes => ({ bytes, blake3: blake3Digest(bytes) }))
    await writer.extend(open, part, () => {})
  }
  const blob = await writer.finish(open)
  await writer.flush()
  const stock = new Hyperblobs(core)
  expect((await stock.get(blob)).equals(Buffer.concat(blocks))).toBe(true)
  return blob
}

test('a content of too many blocks for a map is one run, whatever of it was found', async () => {
  const core = await coreOf()
  const table = new BlockTable(0, new Uint32Array(0))
  const writer = new BlobWriter(core, { table }, digestsOf(core, null), 0, MAX_MAPPED)
  const old = someBlocks(30)
  expect(await storeIn(core, writer, old)).toMatchObject({ blockOffset: 0, blockLength: 30 })
  const mapped = await storeIn(core, writer, [...old.slice(3, 8), ...someBlocks(1)])
  expect(mapped.blockMap).toBe(true)
  const scattered = [...someBlocks(3), ...old.slice(5, 9), ...someBlocks(8), ...old.slice(0, 4)]
  const run = await storeIn(core, writer, scattered)
  expect(run).toMatchObject({ blockLength: scattered.length })
  expect(run.blockMap).toBeUndefined()
  const again = await storeIn(core, writer, old)
  expect(again).toMatchObject({ blockOffset: 0, blockLength: 30, newBytes: 0 })
  const longer = await storeIn(core, writer, [...old, ...someBlocks(2)])
  expect(longer.blockMap).toBeUndefined()
  expect(longer.blockLength).toBe(32)
})

test('one block many times in a content is stored once', async () => {
  const core = await coreOf()
  const table = new BlockTable(0, new Uint32Array(0))
  const writer = new BlobWriter(core, { table }, digestsOf(core, null), 0)
  const zeros = Buffer.alloc(4096)
  const blob = await storeIn(core, writer, Array<Buffer>(300).fill(zeros))
  expect(blob.newBytes).toBeLessThan(4096 + 2000)
  expect(core.length).toBe(2)
})
