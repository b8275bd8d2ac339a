import { randomBytes } from 'node:crypto'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type Hypercore from 'hypercore'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { noteBlock } from '../../../src/archive/block-files/block-notes.ts'
import { patchLeafHashes } from '../../../src/archive/block-files/leaf-notes.ts'
import {
  cryptoOfHypercore,
  TESTED_CRYPTO,
} from '../../../src/archive/block-files/tested-version.ts'
import { blake3Backend } from '../../../src/system/blake3.ts'
import { formatFileState } from '../../../src/system/file-state.ts'
import { IngestPool } from '../../../src/system/ingest-pool.ts'
import {
  allSums,
  newFolder,
  openCore,
  openOurs,
  openStock,
  replicate,
  someBlocks,
  sums,
} from './stores.ts'

/** Whatever the machine has: several threads hash the leaves of one file. */
vi.mock('node:os', async original => ({
  ...(await original<typeof import('node:os')>()),
  availableParallelism: () => 4,
}))

interface Block {
  readonly bytes: Buffer
  readonly blake3: Buffer
  readonly leaf?: Buffer | undefined
}

const { crypto } = cryptoOfHypercore()
const WRONG = Buffer.alloc(32)
/** Without the native module there are none. */
const hasThreads = blake3Backend === 'native'
const leafOf = (bytes: Buffer) => (hasThreads ? crypto.data(bytes) : undefined)

/** Blocks of large files as the threads give them; the bytes are copies, which outlive the pool. */
async function ingested(
  files: readonly Buffer[],
  leaves: (blake3: Buffer) => boolean,
): Promise<Block[][]> {
  const folder = await newFolder()
  const sources = files.map((bytes, i) => {
    const absolute = join(folder, `${i}`)
    writeFileSync(absolute, bytes)
    const stats = statSync(absolute, { bigint: true })
    return { path: `${i}`, absolute, size: bytes.length, state: formatFileState(stats) }
  })
  const pool = new IngestPool({ expectedBytes: 1e9, expectedFiles: 9, bytes: true, leaves })
  onTestFinished(() => pool.close())
  const found: Block[][] = files.map(() => [])
  for await (const event of pool.run(sources)) {
    if (event.type === 'fault') throw event.error
    if (event.type !== 'blocks') continue
    for (const block of event.blocks)
      found[event.index]!.push({ ...block, bytes: Buffer.from(block.bytes) })
    event.done()
  }
  return found
}

/** A new core with a key pair of its own in one of our stores, and the same in a stock one. */
async function twoCores(): Promise<{ ours: Hypercore; stock: Hypercore }> {
  const keyPair = (crypto as unknown as { keyPair(): object }).keyPair()
  return {
    ours: await openCore((await openOurs()).store, { keyPair }),
    stock: await openCore(await openStock(), { keyPair }),
  }
}

const stateOf = async (core: Hypercore) => ({
  key: core.key.toString('hex'),
  length: core.length,
  byteLength: core.byteLength,
  tree: (await core.treeHash()).toString('hex'),
})

describe('leaf hashes', () => {
  test('come from threads for the version of hypercore-crypto that they were tested with', () => {
    expect(cryptoOfHypercore().version).toBe(TESTED_CRYPTO)
  })

  test('of threads are those of Hypercore, and make the same core', async () => {
    const contents = [randomBytes(17 << 20), Buffer.alloc(9 << 20, 7), randomBytes(6 << 20)]
    const files = await ingested(contents, () => true)
    const blocks = files.flat()
    for (const [i, bytes] of contents.entries())
      expect(Buffer.concat(files[i]!.map(block => block.bytes)).equals(bytes)).toBe(true)
    for (const { bytes, leaf } of blocks) expect(leaf).toEqual(leafOf(bytes))

    const { ours, stock } = await twoCores()
    for (const { bytes, blake3, leaf } of blocks)
      noteBlock(bytes, { blake3, ...(leaf ? { leaf } : {}) })
    await ours.append(blocks.map(block => block.bytes))
    await stock.append(blocks.map(block => block.bytes))
    expect(await stateOf(ours)).toEqual(await stateOf(stock))
    expect(ours.length).toBe(blocks.length)
  })

  test('are only computed for the blocks that are asked for', async () => {
    const bytes = randomBytes(12 << 20)
    const asked = new Set<string>()
    const wants = (blake3: Buffer) => {
      if (asked.size % 2 === 1) return asked.add(blake3.toString('hex')) && false
      asked.add(blake3.toString('hex'))
      return true
    }
    const [blocks] = await ingested([bytes], wants)
    if (hasThreads)
      expect(new Set(blocks!.map(block => block.blake3.toString('hex')))).toEqual(asked)
    for (const [i, { bytes, leaf }] of blocks!.entries())
      expect(leaf).toEqual(i % 2 === 0 ? leafOf(bytes) : undefined)
    const [none] = await ingested([bytes], () => false)
    expect(none!.every(block => block.leaf === undefined)).toBe(true)
  })

  test('are taken for the very buffer, once', async () => {
    patchLeafHashes()
    const bytes = randomBytes(70_000)
    const right = crypto.data(bytes)
    noteBlock(bytes, { leaf: Buffer.from(right) })
    expect(crypto.data(bytes)).toEqual(right)

    noteBlock(bytes, { leaf: WRONG })
    expect(crypto.data(Buffer.from(bytes))).toEqual(right)
    expect(crypto.data(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))).toEqual(right)
    expect(crypto.data(bytes)).toEqual(WRONG)
    expect(crypto.data(bytes)).toEqual(right)
    expect(() => noteBlock(bytes, { leaf: WRONG.subarray(1) })).toThrow('32 bytes')
    expect(crypto.data(bytes)).toEqual(right)
  })

  test('of a buffer whose memory went to another thread are not taken', () => {
    patchLeafHashes()
    const bytes = Buffer.from(new ArrayBuffer(5000))
    noteBlock(bytes, { leaf: WRONG })
    structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] })
    expect(crypto.data(bytes)).toEqual(crypto.data(Buffer.alloc(0)))
  })

  test('a hash that is wrong from the first is refused, and nothing is appended', async () => {
    const { data } = crypto
    onTestFinished(() => {
      crypto.data = data
      vi.resetModules()
    })
    vi.resetModules()
    const fresh = await import('../../../src/archive/block-files/leaf-notes.ts')
    const { ours } = await twoCores()
    fresh.patchLeafHashes()
    const [block] = someBlocks(1)
    fresh.noteLeaf(block!, WRONG)
    await expect(ours.append([block!])).rejects.toMatchObject({ code: 'INTERNAL' })
    expect(ours.length).toBe(0)
    await ours.append([block!])
    expect(await allSums(ours)).toEqual(sums([block!]))
  })

  test('an encrypted core hashes what it stores, whatever is noted', async () => {
    const options = { name: 'secret', encryption: { key: Buffer.alloc(32, 1) } }
    const ours = await openOurs()
    const stock = await openStock()
    const core = await openCore(ours.store, options)
    const blocks = someBlocks(6)
    for (const block of blocks) noteBlock(block, { leaf: WRONG })
    await core.append(blocks)
    replicate(ours.store, stock)
    const copy = await openCore(stock, { key: core.key, encryption: options.encryption })
    await copy.update({ wait: true })
    expect(await allSums(copy)).toEqual(sums(blocks))
  })
})
