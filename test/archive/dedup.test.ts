import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import Corestore from 'corestore'
import Hyperdrive, { type DriveBlob } from 'hyperdrive'
import { expect, onTestFinished, test } from 'vitest'
import { decodeBlockMap, encodeBlockMap } from '../../src/archive/block-map.ts'
import type { BundleStore } from '../../src/archive/bundle.ts'
import type { DriveBundle } from '../../src/archive/drive-bundle.ts'
import { parseKey } from '../../src/core/reference.ts'
import { all, type Files, openHome, publish, temporaryFolder } from './helpers.ts'

type StockDrive = Hyperdrive & {
  createReadStream(path: string, range?: { start: number; end: number }): AsyncIterable<Buffer>
}

/** A stock Hyperdrive over a stock store, connected to the author's. */
async function stockClient(author: BundleStore, key: string): Promise<StockDrive> {
  const store = new Corestore(join(await temporaryFolder(), 'stock'))
  const drive = new Hyperdrive(store.session(), Buffer.from(parseKey(key))) as StockDrive
  await drive.ready()
  const left = author.replicate(true)
  const right = store.replicate(false)
  for (const stream of [left, right]) stream.on('error', () => undefined)
  left.pipe(right).pipe(left)
  onTestFinished(async () => {
    left.destroy()
    right.destroy()
    await drive.close()
    await store.close()
  })
  await drive.core.update({ wait: true })
  return drive
}

const bytesStored = async (bundle: unknown) =>
  (await (bundle as DriveBundle).drive.getBlobs())!.core.byteLength

test('whatever a file is made of, a stock client reads it byte for byte, in every release', async () => {
  const author = await openHome()
  const bundle = await author.store.create()
  const [one, two] = [randomBytes(3 << 20), randomBytes(2 << 20)] as const
  const longer = Buffer.concat([randomBytes(1024), one])
  const zeros = Buffer.alloc(5 << 20)
  const releases: Files[] = [
    { 'one.bin': one, 'two.bin': two, 'small.txt': 'small' },
    { 'one.bin': longer, 'two.bin': two, 'small.txt': 'small' },
    { 'one.bin': longer, 'two.bin': Buffer.concat([two, randomBytes(500)]), 'small.txt': 'other' },
    {
      'one.bin': one,
      'sub/pieces.bin': Buffer.concat([two.subarray(0, 1_500_000), one.subarray(1_000_000)]),
      'sub/twin.bin': Buffer.concat([two.subarray(0, 1_500_000), one.subarray(1_000_000)]),
      'sparse.img': Buffer.concat([zeros, one.subarray(0, 300_000), zeros, two]),
      '.repro/images/tools/blobs/layer': Buffer.concat([randomBytes(512), longer]),
      empty: '',
    },
  ]
  const added: number[] = []
  for (const files of releases) {
    const before = await bytesStored(bundle)
    await publish(bundle, files)
    added.push((await bytesStored(bundle)) - before)
  }
  const block = 512 << 10
  expect(added[0]).toBeLessThan(one.length + two.length + 8192)
  for (const bytes of added.slice(1, 3)) expect(bytes).toBeLessThan(2 * block)
  expect(added[3]).toBeLessThan(8 * block)

  const drive = await stockClient(author.store, bundle.key)
  const blobOf = async (from: Hyperdrive, path: string) =>
    ((await from.entry(`/${path}`))!.value as { blob: DriveBlob }).blob
  for (const [i, files] of releases.entries()) {
    const record = String(await drive.get(`/.repro/releases/${i + 1}.json`))
    const { driveVersion } = JSON.parse(record) as { driveVersion: number }
    const then = drive.checkout(driveVersion) as StockDrive
    for (const [path, content] of Object.entries(files)) {
      const bytes = Buffer.from(content as string | Uint8Array)
      expect((await then.get(`/${path}`))!.equals(bytes)).toBe(true)
      if (bytes.length < 1_200_000) continue
      const part = await all(then.createReadStream(`/${path}`, { start: 700_000, end: 1_199_999 }))
      expect(Buffer.concat(part).equals(bytes.subarray(700_000, 1_200_000))).toBe(true)
    }
    expect((await blobOf(then, 'one.bin')).blockMap).toBe(i === 1 || i === 2 ? true : undefined)
    await then.close()
  }
  expect(await blobOf(drive, 'sub/pieces.bin')).toEqual(await blobOf(drive, 'sub/twin.bin'))
})

test('a release of nothing but old contents adds no bytes of files', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  const one = randomBytes(1 << 20)
  await publish(bundle, { 'one.bin': one, 'a.txt': 'a', 'b.txt': 'b' })
  await publish(bundle, { 'one.bin': Buffer.concat([Buffer.from('x'), one]), 'a.txt': 'c' })
  const { storedFiles, storedBytes, record } = await publish(bundle, {
    'again/one.bin': one,
    'again/a.txt': 'a',
    'again/c.txt': 'c',
  })
  expect({ storedFiles, storedBytes, release: record.release }).toEqual({
    storedFiles: 0,
    storedBytes: 0,
    release: 3,
  })
})

test('a block map is byte for byte that of Hyperblobs, whatever its numbers', () => {
  const hyperblobs = createRequire(import.meta.url)('hyperblobs/lib/block-map.js') as {
    encode(map: { blocks: { index: number; byteLength: number }[] }): Buffer[]
  }
  const edges = [
    0,
    1,
    252,
    253,
    254,
    65535,
    65536,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 40,
  ]
  for (const count of [1, 2, 252, 253, 8191, 8192, 8193, 20_000]) {
    const blocks = Array.from({ length: count }, (_, i) => ({
      index: edges[i % edges.length]! + Math.floor(i / edges.length),
      byteLength: 1 + ((i * 7919) % (1 << 20)),
    }))
    const parts = encodeBlockMap(blocks)
    expect(parts).toEqual(hyperblobs.encode({ blocks }).map(part => Buffer.from(part)))
    expect(decodeBlockMap(parts, 2 ** 41, Number.MAX_SAFE_INTEGER)).toEqual(blocks)
  }
})
