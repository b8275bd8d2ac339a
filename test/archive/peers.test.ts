import { randomBytes } from 'node:crypto'
import { Transform } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import type { FileEntry } from '../../schemas/index.ts'
import type { BundleStore } from '../../src/archive/bundle.ts'
import type { DriveBundle } from '../../src/archive/drive-bundle.ts'
import { all, bytesOf, codeOf, connect, openHome, publish } from './helpers.ts'

const near = { history: 'cheap', stallMs: 1500 } as const
const data = randomBytes(8 << 20)

async function author() {
  const home = await openHome()
  const bundle = await home.store.create()
  await publish(bundle, { data })
  return { ...home, bundle }
}

/** Makes what a store serves of a bundle's bytes wrong, as a dishonest peer would. */
async function corrupt(store: BundleStore, key: string): Promise<void> {
  const { drive } = (await store.open(key)) as DriveBundle
  const core = (await drive.getBlobs())!.core as unknown as {
    state: { storage: { read(): Reader } }
  }
  type Reader = { getBlock(index: number): Promise<Buffer | null> }
  const { storage } = core.state
  const read = storage.read.bind(storage)
  storage.read = () => {
    const reader = read()
    const getBlock = reader.getBlock.bind(reader)
    reader.getBlock = async index => {
      const block = await getBlock(index)
      return block && block.length > 100_000 ? Buffer.alloc(block.length, 'lie') : block
    }
    return reader
  }
}

test('a peer that serves other bytes is noticed, refused and dropped', async () => {
  const liar = await author()
  const reader = await openHome()
  const copy = await reader.store.open(liar.bundle.key)
  connect(liar.store, reader.store)
  await copy.update({ timeoutMs: 5000 })
  const release = await copy.openRelease({}, near)
  const [file] = (await all(release.entries())) as FileEntry[]
  await corrupt(liar.store, liar.bundle.key)
  const seen: string[] = []
  onTestFinished(copy.onDishonestPeer(one => seen.push(one.message)))
  expect(await codeOf(all(release.fetch([file!])))).toBe('PEER_DISHONEST')
  expect(seen.length).toBeGreaterThan(0)
  expect(copy.peers()).toBe(0)
})

test('beside a dishonest peer an honest one is enough', async () => {
  const honest = await author()
  const liar = await openHome()
  const mirror = await liar.store.open(honest.bundle.key)
  const cut = connect(honest.store, liar.store)
  await mirror.update({ timeoutMs: 5000 })
  const full = await mirror.openRelease({}, near)
  const [file] = (await all(full.entries())) as FileEntry[]
  await all(full.fetch([file!]))
  cut()
  await corrupt(liar.store, honest.bundle.key)
  const reader = await openHome()
  const copy = await reader.store.open(honest.bundle.key)
  connect(honest.store, reader.store)
  connect(liar.store, reader.store)
  await copy.update({ timeoutMs: 5000 })
  const release = await copy.openRelease({}, near)
  await all(release.fetch([file!]))
  expect((await bytesOf(release.read(file!))).equals(data)).toBe(true)
})

test('a fetch that was cut off goes on with what is missing', async () => {
  const source = await author()
  const reader = await openHome()
  const copy = await reader.store.open(source.bundle.key)
  const left = source.store.replicate(true)
  const right = reader.store.replicate(false)
  let passed = 0
  const gate = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      passed += chunk.length
      if (passed > 4 << 20) left.destroy()
      else done(null, chunk)
    },
  })
  for (const stream of [left, right, gate]) stream.on('error', () => undefined)
  left.pipe(gate).pipe(right).pipe(left)
  await copy.update({ timeoutMs: 5000 })
  const release = await copy.openRelease({}, near)
  const [file] = (await all(release.entries())) as FileEntry[]
  expect(await codeOf(all(release.fetch([file!])))).toBe('NO_PEER')
  const before = copy.received().bytes
  expect(before).toBeGreaterThan(1 << 20)
  connect(source.store, reader.store)
  const records = await all(release.fetch([file!]))
  expect(records[0]?.bytes).toBeGreaterThan(1 << 20)
  expect(copy.received().bytes).toBeLessThan(data.length + (1 << 20))
  expect((await bytesOf(release.read(file!))).equals(data)).toBe(true)
})

test('what is aborted ends at once', async () => {
  const source = await author()
  const reader = await openHome()
  const copy = await reader.store.open(source.bundle.key)
  const cut = connect(source.store, reader.store)
  await copy.update({ timeoutMs: 5000 })
  const release = await copy.openRelease({}, { history: 'cheap' })
  const [file] = (await all(release.entries())) as FileEntry[]
  cut()
  const abort = new AbortController()
  setTimeout(() => abort.abort(), 100)
  const start = Date.now()
  expect(await codeOf(all(release.fetch([file!], abort.signal)))).toBe('INTERRUPTED')
  expect(Date.now() - start).toBeLessThan(3000)
})
