import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FileEntry, WorkRecord } from '../../schemas/index.ts'
import { diffReleases } from '../../src/archive/diff.ts'
import type { OpenRelease } from '../../src/core/home.ts'
import { all, bytesOf, prepare } from '../archive/helpers.ts'
import {
  newSettings,
  openTestHome,
  publishFiles,
  startPeer,
  startSharer,
  withNetwork,
} from '../helpers/homes.ts'
import { startTestnet, type Testnet } from '../helpers/testnet.ts'
import { noise } from '../system/noise.ts'

let dht: Testnet
beforeAll(async () => {
  dht = await startTestnet()
})
afterAll(() => dht.close())

const big = noise(3 << 20, 1)
const files = {
  'data/big.dat': big,
  'data/other.dat': noise(2 << 20, 2),
  'read.me': 'hello\n',
}

async function filesOf(release: OpenRelease): Promise<FileEntry[]> {
  return (await all(release.entries())).filter(entry => entry.type === 'file')
}

test('a bundle is shared over a DHT, and fetched by another process that ends by itself', async () => {
  const author = await newSettings({ bootstrap: dht.bootstrap })
  const { key } = await publishFiles(author, files)
  await startSharer(author)

  const reader = await newSettings({ bootstrap: dht.bootstrap })
  const ref = { kind: 'key', key } as const
  const peer = startPeer({ verb: 'fetch', settings: reader, ref, network: 'missing' })
  const received = await peer.until(record => record.action === 'fetch')
  expect(received.data?.['totalReceivedBytes']).toBeGreaterThan(5 << 20)
  expect(received.data?.['peers']).toMatchObject([{ route: 'swarm', connected: true }])
  expect(await peer.ended).toBe(0)

  const home = await openTestHome(withNetwork(reader, { bootstrap: 'none' }))
  const release = await home.open(ref, { network: 'never', history: 'cheap' })
  const entry = (await filesOf(release)).find(({ path }) => path === 'data/big.dat')!
  expect((await bytesOf(release.read(entry))).equals(big)).toBe(true)
})

test('a diff fetches the index segments that differ, and of equal ones only the name', async () => {
  const author = await newSettings({ listen: { host: '127.0.0.1', port: 0 } })
  const many = Object.fromEntries(Array.from({ length: 4000 }, (_, n) => [`data/${n}.txt`, `${n}`]))
  const { key } = await publishFiles(author, many)
  await publishFiles(author, { ...many, 'data/2000.txt': 'other', 'data/new.txt': 'new' }, { key })
  const { listening } = await startSharer(author)

  const home = await openTestHome(await newSettings({ peers: [listening!] }))
  const [before, after] = await Promise.all(
    [1, 2].map(release =>
      home.open({ kind: 'key', key, release }, { network: 'missing', history: 'cheap' }),
    ),
  )
  const differences = await all(diffReleases(before!, after!))
  expect(differences.map(({ change, path }) => [change, path])).toEqual([
    ['changed', 'data/2000.txt'],
    ['added', 'data/new.txt'],
  ])
  const [told] = (await all<WorkRecord>(after!.fetch([]))).slice(-1)
  const indexBytes = [...(await prepare(many)).segments.values()].join('').length
  expect(told!.data!['totalReceivedBytes']).toBeGreaterThan(0)
  expect(told!.data!['totalReceivedBytes']).toBeLessThan(indexBytes / 3)
})

test('a part of a bundle is fetched over direct TCP with no DHT at all, and the rest stays away', async () => {
  const author = await newSettings({ listen: { host: '127.0.0.1', port: 0 } })
  const { key } = await publishFiles(author, files)
  const { listening } = await startSharer(author)

  const reader = await newSettings({ peers: [listening!] })
  const home = await openTestHome(reader)
  const ref = { kind: 'key', key, release: 1 } as const
  const release = await home.open(ref, { network: 'missing', history: 'cheap' })
  const entries = await filesOf(release)
  const records = await all<WorkRecord>(
    release.fetch(entries.filter(({ path }) => path === 'data/other.dat')),
  )
  expect(records.at(-1)).toMatchObject({ action: 'fetch', peers: 1 })
  const bytes = records.at(-1)!.data!['totalReceivedBytes'] as number
  expect(bytes).toBeGreaterThan(2 << 20)
  expect(bytes).toBeLessThan(3 << 20)
  await home.close()

  const alone = await openTestHome(withNetwork(reader, { peers: [] }))
  const here = await alone.open(ref, { network: 'never', history: 'cheap' })
  const other = entries.find(({ path }) => path === 'data/other.dat')!
  expect((await bytesOf(here.read(other))).length).toBe(other.size)
  const missing = entries.find(({ path }) => path === 'data/big.dat')!
  await expect(bytesOf(here.read(missing))).rejects.toMatchObject({ code: 'NO_PEER' })
})
