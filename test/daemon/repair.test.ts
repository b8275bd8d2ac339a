import { randomBytes } from 'node:crypto'
import { existsSync, lutimesSync, statSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HypercoreStorage } from 'hypercore-storage'
import { core as keys } from 'hypercore-storage/lib/keys.js'
import type { DriveBlob } from 'hyperdrive'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { encodePointer } from '../../src/archive/block-files/stored-value.ts'
import type { DriveBundle } from '../../src/archive/drive-bundle.ts'
import type { Settings } from '../../src/core/settings.ts'
import { get } from '../../src/daemon/operations/get.ts'
import { repair } from '../../src/daemon/operations/repair.ts'
import { repairStore } from '../../src/daemon/operations/repair-store.ts'
import { verify } from '../../src/daemon/operations/verify.ts'
import { codeOf, drain, openHome } from '../archive/helpers.ts'
import {
  newSettings,
  type PeerProcess,
  publishFiles,
  startSharer,
  withNetwork,
} from '../helpers/homes.ts'

const data = randomBytes(3 << 20)
const small = randomBytes(2000)
const files = { 'data/one.dat': data, 'data/two.dat': randomBytes(1 << 20), 'a.txt': small }
const LISTENING = { listen: { host: '127.0.0.1', port: 0 } } as const

afterEach(() => {
  delete process.env['REPRO_BLOCK_FILES']
})

/** Turns one bit around in the only file below `folder` that holds `bytes`; its times stay. */
async function flip(folder: string, bytes: Buffer, ending: string): Promise<void> {
  let hits = 0
  for (const name of (await readdir(folder, { recursive: true })).filter(one =>
    one.endsWith(ending),
  )) {
    const path = join(folder, name)
    const stats = statSync(path)
    if (!stats.isFile()) continue
    const content = await readFile(path)
    const at = content.indexOf(bytes)
    if (at < 0) continue
    hits++
    content[at] = content[at]! ^ 4
    await writeFile(path, content)
    lutimesSync(path, stats.atime, stats.mtime)
  }
  expect(hits).toBe(1)
}

/** Has RocksDB write its memory to files. */
async function flush(home: string, key: string): Promise<void> {
  const { store } = await openHome(home)
  const { drive } = (await store.open(key)) as DriveBundle
  const { storage } = (drive as unknown as { corestore: unknown }).corestore as {
    storage: { db: { flush(): Promise<void> } }
  }
  await storage.db.flush()
  await store.close()
}

const inBlocks = (home: string) =>
  flip(join(home, 'store/blocks'), data.subarray(100_000, 100_100), '.blk')

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'repro-repair-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return join(path, 'copy')
}

/** An author whose home is shared, and a reader who fetched all of it. */
async function reader() {
  const author = await newSettings(LISTENING)
  const { key } = await publishFiles(author, files)
  const sharer: PeerProcess = await startSharer(author)
  const settings = await newSettings({ peers: [sharer.listening!], waitMs: 3000 })
  const copy = await folder()
  await drain(get(settings, `${key}@1`, copy))
  return { key, sharer, settings, copy, author }
}

const faults = async (settings: Settings, ref: string) => {
  const { result } = await drain(verify(settings, ref))
  return [...result.changed, ...result.missing]
}

test('a bit that turned around in a block file is found, and just that block comes from a peer', async () => {
  const { key, settings } = await reader()
  await inBlocks(settings.home)
  expect(await faults(settings, key)).toEqual(['data/one.dat'])
  const { result } = await drain(repair(settings, key))
  expect(result.repairs).toEqual([{ what: 'data/one.dat', blocks: 1, repaired: true }])
  expect(result.after).toMatchObject({ changed: [], missing: [] })
  expect(await faults(settings, key)).toEqual([])
  expect(existsSync(join(settings.home, 'repairs', `${key}.json`))).toBe(false)
})

test('a damaged block map harms its own file alone, and comes from a peer', async () => {
  const author = await newSettings(LISTENING)
  const mapped = Buffer.concat([data.subarray(0, 2_000_000), randomBytes(3000), data])
  const { key } = await publishFiles(author, { ...files, 'z.dat': mapped })
  const sharer = await startSharer(author)
  const settings = await newSettings({ peers: [sharer.listening!], waitMs: 3000 })
  await drain(get(settings, `${key}@1`, await folder()))
  const { store } = await openHome(settings.home)
  const { drive } = (await store.open(key)) as DriveBundle
  const { blob } = ((await drive.entry('/z.dat')) as { value: { blob: DriveBlob } }).value
  expect(blob.blockMap).toBe(true)
  const { core } = (await drive.getBlobs())!
  const { storage } = core.state as unknown as { storage: HypercoreStorage }
  const batch = storage.db.write({ autoDestroy: true })
  const nowhere = {
    kind: 'file',
    id: 99,
    offset: 0,
    length: 100,
    blake3: Buffer.alloc(32),
  } as const
  batch.tryPut(keys.block(storage.core.dataPointer, blob.blockOffset), encodePointer(nowhere))
  await batch.flush()
  await store.close()
  expect(await faults(settings, key)).toEqual(['z.dat'])
  const { result } = await drain(repair(settings, key))
  expect(result.repairs).toEqual([{ what: 'z.dat', blocks: 1, repaired: true }])
  expect(result.after).toMatchObject({ changed: [], missing: [] })
  expect(await faults(settings, key)).toEqual([])
})

test('without a peer nothing is given up, and the next repair succeeds', async () => {
  const { key, settings } = await reader()
  await inBlocks(settings.home)
  const alone = withNetwork(settings, { peers: [], waitMs: 300 })
  const { result } = await drain(repair(alone, key))
  expect(result.repairs).toMatchObject([{ what: 'data/one.dat', blocks: 1, repaired: false }])
  expect(await faults(settings, key)).toEqual(['data/one.dat'])
  expect((await drain(repair(settings, key))).result.repairs).toMatchObject([{ repaired: true }])
})

test('a bit in a blob file of RocksDB is found and repaired too', async () => {
  process.env['REPRO_BLOCK_FILES'] = 'off'
  const { key, settings } = await reader()
  await flush(settings.home, key)
  await flip(join(settings.home, 'store/db'), data.subarray(100_000, 100_100), '.blob')
  expect(await faults(settings, key)).toEqual(['data/one.dat'])
  const { result } = await drain(repair(settings, key))
  expect(result.repairs).toMatchObject([{ what: 'data/one.dat', repaired: true }])
  expect(await faults(settings, key)).toEqual([])
})

test('a damaged block of an own bundle comes from a replica', async () => {
  const { key, sharer, settings, author } = await reader()
  await sharer.kill()
  const replica = await startSharer(withNetwork(settings, LISTENING))
  await inBlocks(author.home)
  const own = withNetwork(author, { listen: null, peers: [replica.listening!], waitMs: 3000 })
  expect(await faults(own, key)).toEqual(['data/one.dat'])
  const { result } = await drain(repair(own, key))
  expect(result.repairs).toEqual([{ what: 'data/one.dat', blocks: 1, repaired: true }])
  expect(await faults(own, key)).toEqual([])
})

test('a fetched folder: what the disk damaged is written again, what a person changed stays', async () => {
  const { key, settings, sharer, copy } = await reader()
  await sharer.kill()
  await flip(join(copy, 'data'), data.subarray(100_000, 100_100), 'one.dat')
  await rm(join(copy, 'a.txt'))
  const { result } = await drain(repair(settings, copy))
  expect(result.repairs.map(one => [one.what, one.repaired])).toEqual([
    ['a.txt', true],
    ['data/one.dat', true],
  ])
  expect(result.after).toMatchObject({ changed: [], missing: [], extra: [] })
  expect((await readFile(join(copy, 'data/one.dat'))).equals(data)).toBe(true)

  await writeFile(join(copy, 'a.txt'), 'my own notes\n')
  const second = (await drain(repair(settings, copy))).result
  expect(second.repairs).toMatchObject([{ what: 'a.txt', repaired: false }])
  expect(await readFile(join(copy, 'a.txt'), 'utf8')).toBe('my own notes\n')
  expect(key).toHaveLength(52)
})

test('the notes beside a fetched folder are written again', async () => {
  const { settings, copy } = await reader()
  await flip(join(copy, '.repro'), Buffer.from('test-bundle'), 'manifest.json')
  expect(await codeOf(drain(verify(settings, copy)))).toBe('HASH_MISMATCH')
  const { result } = await drain(repair(settings, copy))
  expect(result.repairs).toMatchObject([{ repaired: true }])
  expect(await faults(settings, copy)).toEqual([])
})

test('a folder and a store that are both damaged are repaired from a peer', async () => {
  const { settings, copy, key } = await reader()
  await inBlocks(settings.home)
  await flip(join(copy, 'data'), data.subarray(100_000, 100_100), 'one.dat')
  expect((await drain(repair(settings, copy))).result.after).toMatchObject({ changed: [] })
  expect(await faults(settings, key)).toEqual([])
})

test('a table of RocksDB that is damaged is told, and the store is made anew from peers, own bundles too', async () => {
  const { author, settings, key, sharer } = await reader()
  const many = Object.fromEntries(
    Array.from({ length: 800 }, (_, i) => [`small/${i}`, randomBytes(700)]),
  )
  await sharer.kill()
  await publishFiles(author, many, { key })
  const again = await startSharer(author)
  const copy = await folder()
  const peer = { peers: [again.listening!], waitMs: 3000 }
  await drain(get(withNetwork(settings, peer), key, copy))
  await again.kill()

  await flush(author.home, key)
  await flip(join(author.home, 'store/db'), many['small/400']!.subarray(100, 140), '.sst')
  const error = await drain(verify(author, key)).catch(e => e)
  expect(error).toMatchObject({ code: 'STORE_INVALID' })
  expect(error.hints.join()).toMatch(/repro repair store/)

  const alone = withNetwork(author, { listen: null, peers: [], waitMs: 300 })
  expect(await codeOf(drain(repairStore(alone)))).toBe('NO_PEER')
  expect(await codeOf(drain(verify(author, key)))).toBe('STORE_INVALID')

  const replica = await startSharer(withNetwork(settings, LISTENING))
  const helped = withNetwork(author, { listen: null, peers: [replica.listening!], waitMs: 3000 })
  const { result } = await drain(repairStore(helped))
  expect(result.keys).toEqual([key])
  expect(existsSync(join(result.aside, 'db'))).toBe(true)
  expect(await faults(author, key)).toEqual([])
  expect(await faults(author, `${key}@1`)).toEqual([])
  expect((await publishFiles(helped, { 'new.txt': 'new' }, { key })).release).toBe(3)
}, 60_000)
