import { readdir } from 'node:fs/promises'
import { connect as dial } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { WorkRecord } from '../../schemas/index.ts'
import { ReproError } from '../../src/core/errors.ts'
import type { NetworkSettings } from '../../src/core/settings.ts'
import { runBootstrap } from '../../src/network/bootstrap.ts'
import { connect, type Network } from '../../src/network/network.ts'
import { noPeerError } from '../../src/network/no-peer.ts'
import { nodeKeyPair } from '../../src/network/node-keys.ts'
import { notePublicNodes } from '../../src/network/public-nodes-note.ts'
import { startSharing } from '../../src/network/share.ts'
import { openSeed } from '../../src/system/seed.ts'
import { all, codeOf, openHome, publish, temporaryFolder } from '../archive/helpers.ts'
import { newSettings } from '../helpers/homes.ts'
import { startTestnet } from '../helpers/testnet.ts'
import { noise } from '../system/noise.ts'

const loopback = { host: '127.0.0.1', port: 0 }

async function openNetwork(settings: Partial<NetworkSettings> = {}) {
  const { home, store } = await openHome()
  const keys = nodeKeyPair(await openSeed(home))
  const network = await connect(store, keys, await newSettings(settings))
  onTestFinished(() => network.destroy())
  return { store, network, keys }
}

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000
  while (!condition() && performance.now() < end) await new Promise(r => setTimeout(r, 20))
  expect(condition()).toBe(true)
}

async function timeToDestroy(network: Network): Promise<number> {
  const start = performance.now()
  await network.destroy()
  return performance.now() - start
}

test('a direct peer is connected, counted on both ends, and said to be gone', async () => {
  const server = await openNetwork()
  const bundle = await server.store.create()
  await publish(bundle, { 'a.dat': noise(1 << 20) })
  server.network.join(bundle, { announce: true })
  const { address } = await server.network.listen(loopback)

  const client = await openNetwork({ peers: [address] })
  const records: WorkRecord[] = []
  client.network.onRecord(record => records.push(record))
  const copy = await client.store.open(bundle.key)
  client.network.join(copy)
  await until(() => copy.peers() === 1)
  // A peer is counted before it has said how long its core is.
  await copy.update({ timeoutMs: 5000 })
  const release = await copy.openRelease({}, { history: 'cheap', stallMs: 3000 })
  const entries = await all(release.entries())
  await all(release.fetch(entries.filter(entry => entry.type === 'file')))
  expect(client.network.received).toBeGreaterThan(1 << 20)
  expect(server.network.sent).toBeGreaterThan(1 << 20)
  expect(client.network.traffic()).toMatchObject([
    { peer: server.keys.publicKey.toString('hex'), route: 'tcp', connected: true },
  ])
  const before = client.network.received
  await server.network.destroy()
  await until(() => client.network.peers === 0)
  expect(client.network.received).toBe(before)
  expect(records.map(({ action, status, peers }) => [action, status, peers])).toEqual([
    ['peer', 'start', 1],
    ['peer', 'ok', 0],
  ])
})

test('a peer that comes back is dialled again', async () => {
  const first = await openNetwork()
  const { address, close } = await first.network.listen(loopback)
  const client = await openNetwork({ peers: [address] })
  await until(() => client.network.peers === 1)
  close()
  await until(() => client.network.peers === 0)
  const second = await openNetwork()
  await second.network.listen(address)
  await until(() => client.network.peers === 1)
})

test('a home does not connect to itself', async () => {
  const { store, network, keys } = await openNetwork()
  const { address } = await network.listen(loopback)
  const same = await connect(store, keys, await newSettings({ peers: [address] }))
  await until(() => same.noPeer('key', 0).message.includes('it is this home itself'))
  expect(same.peers).toBe(0)
  await same.destroy()
})

test('sockets that say nothing, or rubbish, do no harm to others', async () => {
  const { network } = await openNetwork()
  const { address } = await network.listen(loopback)
  const silent = dial(address.port, address.host)
  const rubbish = dial(address.port, address.host)
  for (const socket of [silent, rubbish]) socket.on('error', () => undefined)
  rubbish.write(Buffer.alloc(100_000, 0xff))
  const client = await openNetwork({ peers: [address] })
  await until(() => client.network.peers === 1)
  expect(network.peers).toBe(1)
  expect(await timeToDestroy(network)).toBeLessThan(2000)
  silent.destroy()
  rubbish.destroy()
})

test('it ends quickly whatever it is doing', async () => {
  const dead = [{ host: '127.0.0.1', port: 1 }]
  const nobody = await openNetwork({ bootstrap: dead, peers: dead })
  nobody.network.join(await nobody.store.create())
  expect(await timeToDestroy(nobody.network)).toBeLessThan(2000)

  const announcing = await openNetwork({ bootstrap: dead })
  announcing.network.join(await announcing.store.create(), { announce: true })
  expect(await timeToDestroy(announcing.network)).toBeLessThan(2000)

  const dht = await startTestnet()
  const busy = await openNetwork({ bootstrap: dht.bootstrap })
  const { announced } = busy.network.join(await busy.store.create(), { announce: true })
  expect(await announced).toBe(true)
  expect(await timeToDestroy(busy.network)).toBeLessThan(2000)
  await dht.close()
})

test('only sharing announces: a reader is not found by others', async () => {
  const dht = await startTestnet()
  onTestFinished(() => dht.close())
  const author = await openNetwork({ bootstrap: dht.bootstrap })
  const bundle = await author.store.create()
  const reader = await openNetwork({ bootstrap: dht.bootstrap })
  reader.network.join(await reader.store.open(bundle.key))
  author.network.join(bundle)
  await new Promise(resolve => setTimeout(resolve, 4000))
  expect([author.network.peers, reader.network.peers]).toEqual([0, 0])
  author.network.join(bundle, { announce: true })
  await until(() => reader.network.peers === 1)
})

test('when no DHT node takes the announcement, sharing says where it can be reached', async () => {
  const { store, network } = await openNetwork()
  const bundle = await store.create()
  const sharing = await startSharing(network, [bundle], loopback)
  const alone = await startSharing(network, [bundle], null)
  await sharing.close()
  await alone.close()
  const records = await all(sharing.records())
  expect(records.find(r => r.action === 'announce')).toMatchObject({
    status: 'warn',
    message: expect.stringContaining(`only at 127.0.0.1:${sharing.listening!.port}`),
  })
  expect((await all(alone.records())).find(r => r.action === 'announce')).toMatchObject({
    message: expect.stringContaining('nobody can find it'),
    hints: [expect.stringContaining('--listen')],
  })
})

test('the public nodes are spoken of once in the life of a home', async () => {
  const home = await temporaryFolder()
  expect(await notePublicNodes(home)).toMatchObject({
    action: 'note',
    message: expect.stringContaining('public'),
  })
  expect(await notePublicNodes(home)).toBeNull()
  expect(await readdir(home)).toEqual(['public-nodes-noted'])
})

test('a bootstrap node says when its port is taken or its address is none', async () => {
  const node = await runBootstrap(loopback)
  onTestFinished(() => node.close())
  expect(node.address.port).toBeGreaterThan(0)
  expect(await codeOf(runBootstrap(node.address))).toBe('LISTEN_FAILED')
  expect(await codeOf(runBootstrap({ host: '0.0.0.0', port: 0 }))).toBe('USAGE')
  expect(await codeOf(runBootstrap({ host: 'localhost', port: 0 }))).toBe('USAGE')
})

test.each<[string, Parameters<typeof noPeerError>[1], RegExp, RegExp]>([
  [
    'public nodes that do not answer',
    { bootstrap: 'public', dhtNodes: 0, peers: [], connected: 0, waitedMs: 15_000 },
    /no peer of KEY was found within 15\.0 s; asked the public bootstrap nodes: no DHT node answered/,
    /may block UDP.*--peer/,
  ],
  [
    'a connected peer that is silent',
    {
      bootstrap: 'none',
      dhtNodes: null,
      peers: [{ address: { host: '::1', port: 2 }, error: null }],
      connected: 1,
      waitedMs: 900,
    },
    /no peer sent what is needed of KEY within 900 ms; the DHT is switched off; direct peer \[::1\]:2: connected/,
    /--bootstrap/,
  ],
])('NO_PEER tells of %s', (_, tried, message, hint) => {
  const error = noPeerError('KEY', tried)
  expect(error).toBeInstanceOf(ReproError)
  expect(error.message).toMatch(message)
  expect(error.hints.join('\n')).toMatch(hint)
})
