import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import Corestore from 'corestore'
import type Hypercore from 'hypercore'
import type Hyperdrive from 'hyperdrive'
import { expect, onTestFinished, test } from 'vitest'
import { DurableGate, GATED_HYPERCORE } from '../../src/archive/durable-gate.ts'
import { openHome, publish, temporaryFolder } from './helpers.ts'

const blocks = (count: number, size = 100) =>
  Array.from({ length: count }, (_, i) => Buffer.alloc(size, i))

interface PeerOf {
  readonly remoteLength: number
  readonly remoteBitfield: { get(index: number): boolean }
  readonly remoteContiguousLength: number
}

/** A writable core behind a gate, and the same core in a stock store that is connected to it. */
async function pair(before: number) {
  const author = new Corestore(await temporaryFolder())
  const core = author.get({ name: 'gated' })
  await core.ready()
  if (before > 0) await core.append(blocks(before))
  const gate = DurableGate.of(core)
  const reader = new Corestore(await temporaryFolder())
  const copy = reader.get({ key: core.key })
  await copy.ready()
  const settled = await marksBetween(author, reader)
  connect(author, reader)
  onTestFinished(async () => {
    await reader.close()
    await author.close()
  })
  return { author, core, gate, copy, settled }
}

/** What waits until both sides have got all that was on the wire: marks go the same way behind it, there and back. */
async function marksBetween(author: Corestore, reader: Corestore): Promise<() => Promise<void>> {
  const marks = author.get({ name: 'marks' })
  await marks.ready()
  const seen = reader.get({ key: marks.key })
  await seen.ready()
  return async () => {
    for (let i = 0; i < 3; i++) {
      await marks.append([Buffer.from('mark')])
      await seen.get(marks.length - 1)
    }
  }
}

function connect(a: Corestore, b: Corestore): void {
  const left = a.replicate(true)
  const right = b.replicate(false)
  for (const stream of [left, right]) stream.on('error', () => undefined)
  left.pipe(right).pipe(left)
}

const peersOf = (copy: Hypercore) => copy.peers as unknown as PeerOf[]

async function until(test: () => boolean): Promise<void> {
  const end = Date.now() + 5000
  while (!test()) {
    if (Date.now() > end) throw new Error('it did not come true within 5 s')
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

test('it is made for the version of Hypercore that is installed', async () => {
  const path = createRequire(import.meta.url).resolve('hypercore/package.json')
  expect(JSON.parse(await readFile(path, 'utf8')).version).toBe(GATED_HYPERCORE)
})

test.each([0, 5])(
  'a stock peer never has more than what was passed on, %i blocks before',
  async before => {
    const { core, gate, copy, settled } = await pair(before)
    await until(() => copy.peers.length === 1)
    await copy.update({ wait: true })
    let most = 0
    copy.on('append', () => {
      most = Math.max(most, copy.length)
    })
    for (let i = 0; i < 4; i++) await core.append(blocks(3))
    await settled()
    expect(gate.length).toBe(before)
    expect(copy.length).toBe(before)
    expect(peersOf(copy)[0]!.remoteLength).toBe(before)
    expect(peersOf(copy)[0]!.remoteBitfield.get(before)).toBe(false)
    expect(peersOf(copy)[0]!.remoteContiguousLength).toBe(before)
    expect(most).toBe(0)
    const pass = gate.mark()
    await core.append(blocks(2))
    pass()
    await until(() => copy.length === before + 12)
    expect(await copy.get(before + 11)).toEqual(Buffer.alloc(100, 2))
    await settled()
    expect(copy.length).toBe(before + 12)
    gate.mark()()
    await until(() => copy.length === before + 14)
  },
)

test('a peer that comes while something is held back gets what is durable, and the rest later', async () => {
  const { author, core, gate, copy } = await pair(7)
  await core.append(blocks(40))
  const later = new Corestore(await temporaryFolder())
  onTestFinished(() => later.close())
  const late = later.get({ key: core.key })
  await late.ready()
  connect(author, later)
  await until(() => late.length === 7 && copy.length === 7)
  expect(await late.get(6)).toEqual(Buffer.alloc(100, 6))
  expect(await late.get(6, { timeout: 1000 })).toEqual(Buffer.alloc(100, 6))
  await expect(late.get(20, { timeout: 300 })).rejects.toThrow()
  const waiting = late.get(46)
  gate.mark()()
  expect(await waiting).toEqual(Buffer.alloc(100, 39))
  await until(() => copy.length === 47)
})

test('bits of a sparse core are not told behind the gate', async () => {
  const { core, gate, copy, settled } = await pair(600)
  await core.clear(1, 2)
  await core.append(blocks(600))
  await until(() => copy.length === 600)
  await copy.get(599)
  await settled()
  const peer = peersOf(copy)[0]!
  for (const index of [600, 601, 640, 900, 1199]) expect(peer.remoteBitfield.get(index)).toBe(false)
  gate.mark()()
  await until(() => copy.length === 1200)
  expect(await copy.get(1100)).toEqual(Buffer.alloc(100, 500 % 256))
})

test('a hostile peer that asks behind the gate gets nothing', async () => {
  const { core, copy, settled } = await pair(4)
  await core.append(blocks(4))
  await until(() => copy.length === 4)
  const peer = copy.peers[0] as unknown as {
    wireRequest: { send(message: object): void }
    ondata(data: object): Promise<void>
  }
  const answers: object[] = []
  peer.ondata = async data => void answers.push(data)
  for (const [i, request] of [
    { block: { index: 6, nodes: 4 } },
    { upgrade: { start: 4, length: 4 } },
    { upgrade: { start: 0, length: 8 } },
  ].entries())
    peer.wireRequest.send({
      id: 100 + i,
      fork: 0,
      block: null,
      hash: null,
      seek: null,
      upgrade: null,
      manifest: false,
      priority: 0,
      ...request,
    })
  await settled()
  expect(answers).toEqual([])
})

interface Inside {
  readonly drive: Hyperdrive & { readonly corestore: Corestore & { readonly storage: Storage } }
}
interface Storage {
  readonly db: { flush(): Promise<void> }
}

test('a stock peer that is connected during a publish has nothing before it is flushed, and the release right after', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  await publish(bundle, { file: '1', big: randomBytes(300_000) })
  const { drive } = bundle as unknown as Inside
  const bytes = (await drive.getBlobs())!.core
  const { db } = drive.corestore.storage
  let durable = { tree: drive.core.length, bytes: bytes.length }
  const { flush } = db
  let flushes = 0
  const reader = new Corestore(await temporaryFolder())
  onTestFinished(() => reader.close())
  const settled = await marksBetween(drive.corestore, reader)
  db.flush = async () => {
    const now = { tree: drive.core.length, bytes: bytes.length }
    // What must not be told yet would be here before this.
    await settled()
    await flush.call(db)
    durable = now
    flushes++
  }

  const tree = reader.get({ key: drive.core.key })
  const blobs = reader.get({ key: bytes.key })
  await Promise.all([tree.ready(), blobs.ready()])
  const left = store.replicate(true)
  const right = reader.replicate(false)
  for (const stream of [left, right]) stream.on('error', () => undefined)
  left.pipe(right).pipe(left)
  await until(() => tree.length === durable.tree && blobs.length === durable.bytes)
  const early: string[] = []
  tree.on('append', () => {
    if (tree.length > durable.tree) early.push(`tree ${tree.length} > ${durable.tree}`)
  })
  blobs.on('append', () => {
    if (blobs.length > durable.bytes) early.push(`bytes ${blobs.length} > ${durable.bytes}`)
  })
  await publish(bundle, { file: '2', big: randomBytes(600_000), more: randomBytes(200_000) })
  expect(flushes).toBeGreaterThanOrEqual(2)
  await until(() => tree.length === drive.core.length && blobs.length === bytes.length)
  expect(early).toEqual([])
  expect(durable).toEqual({ tree: drive.core.length, bytes: bytes.length })
  expect(await blobs.get(bytes.length - 1)).toEqual(await bytes.get(bytes.length - 1))
})
