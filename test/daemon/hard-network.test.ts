import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FileEntry } from '../../schemas/index.ts'
import { ReproError } from '../../src/core/errors.ts'
import type { Home } from '../../src/core/home.ts'
import type { KeyReference } from '../../src/core/reference.ts'
import { openHome } from '../../src/daemon/in-process-home.ts'
import { all } from '../archive/helpers.ts'
import {
  newSettings,
  openTestHome,
  publishFiles,
  startPeer,
  startSharer,
  withNetwork,
} from '../helpers/homes.ts'
import { slowWire } from '../helpers/slow-wire.ts'
import { startTestnet, type Testnet } from '../helpers/testnet.ts'
import { noise } from '../system/noise.ts'

let dht: Testnet
beforeAll(async () => {
  dht = await startTestnet()
})
afterAll(() => dht.close())

const loopback = { host: '127.0.0.1', port: 0 }
const size = 8 << 20
const files = {
  'a.dat': noise(size / 4, 1),
  'b.dat': noise(size / 2, 2),
  'c.dat': noise(size / 4, 3),
}
const rate = 3 << 20

async function fetchAll(home: Home, ref: KeyReference): Promise<number> {
  const release = await home.open(ref, { network: 'missing', history: 'cheap' })
  const entries: FileEntry[] = []
  for await (const entry of release.entries()) if (entry.type === 'file') entries.push(entry)
  const records = await all(release.fetch(entries))
  return (records.at(-1)?.data?.['receivedBytes'] as number | undefined) ?? 0
}

async function failure(work: Promise<unknown>): Promise<ReproError> {
  const error = await work.then(
    () => null,
    e => e,
  )
  expect(error).toBeInstanceOf(ReproError)
  return error as ReproError
}

test('a fetch that was killed is carried on, not begun again', async () => {
  const author = await newSettings({ listen: loopback })
  const { key } = await publishFiles(author, files)
  const { listening } = await startSharer(author)
  const wire = await slowWire(listening!, rate)

  const reader = await newSettings({ peers: [wire.address] })
  const ref = { kind: 'key', key } as const
  const first = startPeer({ verb: 'fetch', settings: reader, ref, network: 'missing' })
  await first.until(record => record.action === 'progress' && (record.bytes ?? 0) > size / 3)
  await first.kill('SIGKILL')
  const before = wire.carried
  expect(before).toBeLessThan(size)

  const home = await openTestHome(withNetwork(reader, { peers: [listening!] }))
  const received = await fetchAll(home, ref)
  expect(received).toBeGreaterThan(1 << 20)
  expect(received).toBeLessThan(size - size / 5)
})

test('when a source dies midway, another gives the rest', async () => {
  const author = await newSettings({ listen: loopback })
  const { key } = await publishFiles(author, files)
  const ref = { kind: 'key', key } as const
  const one = await startSharer(author)
  const second = await newSettings({ peers: [one.listening!], listen: loopback })
  const copy = await openHome(second)
  await fetchAll(copy, ref)
  await copy.close()
  const other = await startSharer(second)

  const wires = await Promise.all([
    slowWire(one.listening!, rate),
    slowWire(other.listening!, rate),
  ])
  const reader = await newSettings({ peers: wires.map(wire => wire.address) })
  const peer = startPeer({ verb: 'fetch', settings: reader, ref, network: 'missing' })
  await peer.until(record => record.action === 'progress' && (record.bytes ?? 0) > size / 4)
  const [before] = wires.map(wire => wire.carried)
  expect(before).toBeGreaterThan(0)
  await one.kill('SIGKILL')
  await peer.until(record => record.action === 'result')
  expect(await peer.ended).toBe(0)
  expect(wires[1]!.carried).toBeGreaterThan(size / 3)
})

test('nobody there: within the wait, with what was tried and what to type', async () => {
  const author = await newSettings()
  const { key } = await publishFiles(author, { 'a.txt': 'a' })
  const dead = { host: '127.0.0.1', port: 1 }
  const settings = await newSettings({ bootstrap: dht.bootstrap, peers: [dead], waitMs: 3000 })
  const home = await openTestHome(settings)
  const start = performance.now()
  const error = await failure(
    home.open({ kind: 'key', key }, { network: 'missing', history: 'cheap' }),
  )
  expect(performance.now() - start).toBeLessThan(5000)
  expect(error).toMatchObject({ code: 'NO_PEER', exitCode: 4 })
  expect(error.message).toContain(`no peer of ${key} was found within 3.0 s`)
  expect(error.message).toMatch(/asked the bootstrap node 127\.0\.0\.1:\d+: \d+ DHT nodes answered/)
  expect(error.message).toContain('direct peer 127.0.0.1:1: connection refused')
  expect(error.hints.join('\n')).toContain(`repro share ${key}`)
  const closing = performance.now()
  await home.close()
  expect(performance.now() - closing).toBeLessThan(2000)
})

test('a dead bootstrap node is told from one that knows nobody, and ends as fast', async () => {
  const author = await newSettings()
  const { key } = await publishFiles(author, { 'a.txt': 'a' })
  const settings = await newSettings({ bootstrap: [{ host: '127.0.0.1', port: 1 }], waitMs: 1500 })
  const peer = startPeer({
    verb: 'fetch',
    settings,
    ref: { kind: 'key', key },
    network: 'missing',
  })
  const start = performance.now()
  const error = await peer.until(record => record.action === 'error')
  expect(error.message).toContain('no DHT node answered')
  expect(await peer.ended).toBe(4)
  expect(performance.now() - start).toBeLessThan(8000)
})

test('with no route at all nothing is waited for', async () => {
  const author = await newSettings()
  const { key } = await publishFiles(author, { 'a.txt': 'a' })
  const home = await openTestHome(await newSettings({ waitMs: 60_000 }))
  const error = await failure(
    home.open({ kind: 'key', key }, { network: 'missing', history: 'cheap' }),
  )
  expect(error.message).toContain('no way to look for peers')
  expect(error.hints.join('\n')).toContain('--bootstrap')
})

test('a peer that serves other bytes is dropped, and an honest one used', async () => {
  const author = await newSettings({ listen: loopback })
  const { key } = await publishFiles(author, files)
  const ref = { kind: 'key', key } as const
  const liarSettings = await newSettings({ listen: loopback })
  const honest = await startSharer(author)
  const copy = await openHome(withNetwork(liarSettings, { peers: [honest.listening!] }))
  await fetchAll(copy, ref)
  await copy.close()
  const liar = await startSharer(liarSettings, true)

  const alone = await openTestHome(await newSettings({ peers: [liar.listening!], waitMs: 2500 }))
  const refused = await failure(fetchAll(alone, ref))
  expect(refused).toMatchObject({ code: 'PEER_DISHONEST', exitCode: 5 })

  const wire = await slowWire(honest.listening!, rate * 3)
  const both = await newSettings({ peers: [liar.listening!, wire.address] })
  const peer = startPeer({ verb: 'fetch', settings: both, ref, network: 'missing' })
  const dropped = await peer.until(record => record.action === 'warning')
  expect(dropped.message).toMatch(/dropped the peer [0-9a-f]{8}: it sent wrong bytes/)
  await peer.until(record => record.action === 'result')
  expect(await peer.ended).toBe(0)
  const again = peer.records.filter(
    record => record.action === 'peer' && record.data?.['peer'] === dropped.data?.['peer'],
  )
  expect(again.filter(record => record.status === 'start')).toHaveLength(1)
})

test.each([2000, 300_000])(
  'a peer that stays silent after %i bytes does not hold up the others',
  async stopAfter => {
    const author = await newSettings({ listen: loopback })
    const { key } = await publishFiles(author, files)
    const ref = { kind: 'key', key } as const
    const { listening } = await startSharer(author)
    const second = await newSettings({ peers: [listening!], listen: loopback })
    const copy = await openHome(second)
    await fetchAll(copy, ref)
    await copy.close()
    const other = await startSharer(second)
    const silent = await slowWire(listening!, rate, stopAfter)
    const honest = await slowWire(other.listening!, rate)
    const settings = await newSettings({ peers: [silent.address, honest.address], waitMs: 15_000 })
    const home = await openTestHome(settings)
    expect(await fetchAll(home, ref)).toBeGreaterThan(size)
    expect(silent.carried).toBeGreaterThan(0)
  },
)

test('a reference with a wrong hash is refused before anything is fetched', async () => {
  const author = await newSettings({ listen: loopback })
  const { key } = await publishFiles(author, files)
  const { listening } = await startSharer(author)
  const home = await openTestHome(await newSettings({ peers: [listening!] }))
  const hash = `blake3:${'0'.repeat(64)}` as const
  const error = await failure(
    home.open({ kind: 'key', key, hash }, { network: 'missing', history: 'cheap' }),
  )
  expect(error).toMatchObject({ code: 'HASH_MISMATCH', exitCode: 5 })
})

test('a direct peer that is no repro peer, or says nothing, is told by its reason', async () => {
  const { createServer } = await import('node:net')
  const rude = createServer(socket => {
    socket.on('error', () => undefined)
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  })
  await new Promise<void>(resolve => rude.listen(0, '127.0.0.1', resolve))
  const { port } = rude.address() as { port: number }
  const author = await newSettings()
  const { key } = await publishFiles(author, { 'a.txt': 'a' })
  const home = await openTestHome(
    await newSettings({ peers: [{ host: '127.0.0.1', port }], waitMs: 1200 }),
  )
  const error = await failure(
    home.open({ kind: 'key', key }, { network: 'missing', history: 'cheap' }),
  )
  rude.close()
  expect(error.message).toMatch(new RegExp(`direct peer 127.0.0.1:${port}: (?!no answer)`))
})
