import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { WorkRecord } from '../../schemas/index.ts'
import { parseReference } from '../../src/core/reference.ts'
import { openHome } from '../../src/daemon/in-process-home.ts'
import { all, codeOf, drain, prepare } from '../archive/helpers.ts'
import {
  newSettings,
  openTestHome,
  publishFiles,
  startPeer,
  startSharer,
  withNetwork,
} from '../helpers/homes.ts'
import { startTestnet, type Testnet } from '../helpers/testnet.ts'

let dht: Testnet
beforeAll(async () => {
  dht = await startTestnet()
})
afterAll(() => dht.close())

const loopback = { host: '127.0.0.1', port: 0 }

test('a published bundle has the name of its manifest, and a name that is wrong is told with the nearest', async () => {
  const settings = await newSettings()
  const { key } = await publishFiles(settings, { 'a.txt': 'a' }, { name: 'lambda-phage' })
  const second = await publishFiles(settings, { 'b.txt': 'b' }, { name: 'lambda-phage' })
  expect(second.key).not.toBe(key)
  const home = await openTestHome(settings)
  expect(await home.resolve(parseReference('lambda-phage@1'))).toEqual({
    kind: 'key',
    key,
    release: 1,
  })
  await expect(home.resolve(parseReference('lamda-phage'))).rejects.toMatchObject({
    code: 'NOT_FOUND',
    exitCode: 4,
    hints: expect.arrayContaining(['did you mean "lambda-phage"?']),
  })
  expect(await codeOf(home.resolve(parseReference('constructor')))).toBe('NOT_FOUND')
  expect(await home.list()).toHaveLength(2)
})

test('names that were damaged are told, and not overwritten', async () => {
  const settings = await newSettings()
  await mkdir(settings.home)
  await writeFile(join(settings.home, 'names.json'), '{"names": 1}')
  const home = await openTestHome(settings)
  expect(await codeOf(home.resolve(parseReference('any')))).toBe('STORE_INVALID')
  const work = home.publish(await prepare({ 'a.txt': 'a' }), { key: null })
  expect(await codeOf(drain(work))).toBe('STORE_INVALID')
  expect(await readFile(join(settings.home, 'names.json'), 'utf8')).toBe('{"names": 1}')
})

test('a home that another process has open is busy, and free again when that ends', async () => {
  const settings = await newSettings({ listen: loopback })
  await publishFiles(settings, { 'a.txt': 'a' })
  const sharer = await startSharer(settings)
  const busy = await openHome(settings).then(
    () => null,
    error => error,
  )
  expect(busy).toMatchObject({ code: 'STORE_BUSY', exitCode: 1 })
  await sharer.kill('SIGTERM')
  expect(await sharer.ended).toBe(0)
  await openTestHome(settings)
})

test('a home that cannot be written to says so', async () => {
  const settings = await newSettings()
  await mkdir(join(settings.home, '..'), { recursive: true })
  await writeFile(settings.home, 'a file')
  await expect(openHome(settings)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining(settings.home),
  })
  if (process.getuid?.() === 0) return
  const closed = await newSettings()
  await mkdir(closed.home)
  await chmod(closed.home, 0o500)
  expect(await codeOf(openHome(closed))).toBe('CONFIG_INVALID')
})

test('the newest is asked for, and what is here is given when nobody answers', async () => {
  const author = await newSettings({ listen: loopback })
  const { key } = await publishFiles(author, { 'a.txt': 'one' })
  const first = await startSharer(author)
  const reader = await newSettings({ peers: [first.listening!] })
  const home = await openTestHome(reader)
  const ref = { kind: 'key', key } as const
  const open = async (network: 'missing' | 'newest', records: WorkRecord[] = []) => {
    const options = {
      network,
      history: 'cheap',
      onRecord: (r: WorkRecord) => records.push(r),
    } as const
    const release = await home.open(ref, options)
    await release.close()
    return release.record.release
  }
  expect(await open('missing')).toBe(1)
  await first.kill('SIGTERM')
  await publishFiles(author, { 'a.txt': 'two' }, { key })
  const records: WorkRecord[] = []
  const { listening } = await startSharer({
    ...author,
    network: { ...author.network, listen: first.listening },
  })
  expect(listening).toEqual(first.listening)
  expect(await open('missing')).toBe(1)
  expect(await open('newest', records)).toBe(2)
  const log = await home.log(ref, { network: 'newest', history: 'all' })
  expect(log.map(one => one.record?.release)).toEqual([1, 2])
  await home.close()

  const gone = await openTestHome(
    withNetwork(reader, { peers: [{ host: '127.0.0.1', port: 1 }], waitMs: 500 }),
  )
  const notes: WorkRecord[] = []
  const release = await gone.open(ref, {
    network: 'newest',
    history: 'cheap',
    onRecord: r => notes.push(r),
  })
  expect(release.record.release).toBe(2)
  expect(notes.find(r => r.action === 'note')?.message).toContain('what was here already')
  const pinned = await gone.open(
    { ...ref, release: 1 },
    { network: 'newest', history: 'cheap', onRecord: () => expect.fail('asked a peer') },
  )
  expect(pinned.record.release).toBe(1)
})

test('a release that the author does not have is not found, without waiting for ever', async () => {
  const author = await newSettings({ listen: loopback })
  const { key } = await publishFiles(author, { 'a.txt': 'one' })
  const { listening } = await startSharer(author)
  const home = await openTestHome(await newSettings({ peers: [listening!] }))
  const start = performance.now()
  const options = { network: 'missing', history: 'cheap' } as const
  expect(await codeOf(home.open({ kind: 'key', key, release: 9 }, options))).toBe('NOT_FOUND')
  expect(await codeOf(home.open({ kind: 'key', key, release: 'v9' }, options))).toBe('NOT_FOUND')
  expect(performance.now() - start).toBeLessThan(15_000)
})

test('what is published while everything is shared is served at once', async () => {
  const author = await newSettings({ bootstrap: dht.bootstrap, listen: loopback })
  const { key } = await publishFiles(author, { 'a.txt': 'one' })
  const home = await openTestHome(author)
  const sharing = await home.share([])
  expect(sharing.keys).toEqual([key])
  await drain(home.publish(await prepare({ 'a.txt': 'two' }), { key }))
  const { result } = await drain(home.publish(await prepare({ 'b.txt': 'new' }), { key: null }))
  expect(sharing.keys).toHaveLength(2)
  for (const [ref, release] of [
    [{ kind: 'key', key } as const, 2],
    [{ kind: 'key', key: result.record.key } as const, 1],
  ] as const) {
    const peer = startPeer({
      verb: 'fetch',
      settings: await newSettings({ bootstrap: dht.bootstrap }),
      ref,
      network: 'missing',
    })
    expect((await peer.until(r => r.action === 'result')).data).toMatchObject({ release })
    expect(await peer.ended).toBe(0)
  }
  await home.close()
  const records = await all(sharing.records())
  expect(records.filter(r => r.action === 'announce' && r.status === 'ok')).toHaveLength(2)
  expect(records.some(r => r.action === 'peer')).toBe(true)
})

test('sharing what is not here, or at an address that is taken, is refused', async () => {
  const settings = await newSettings()
  const home = await openTestHome(settings)
  expect(await codeOf(home.share([]))).toBe('NOT_FOUND')
  const { key } = await publishFiles(await newSettings(), { 'a.txt': 'a' })
  expect(await codeOf(home.share([{ kind: 'key', key }]))).toBe('NOT_FOUND')

  const author = await newSettings({ listen: loopback })
  await publishFiles(author, { 'a.txt': 'a' })
  const { listening } = await startSharer(author)
  const other = await newSettings({ listen: listening })
  await publishFiles(other, { 'a.txt': 'a' })
  expect(await codeOf((await openTestHome(other)).share([]))).toBe('LISTEN_FAILED')
})

test('an interrupted search ends at once', async () => {
  const { key } = await publishFiles(await newSettings(), { 'a.txt': 'a' })
  const home = await openTestHome(await newSettings({ bootstrap: dht.bootstrap, waitMs: 30_000 }))
  const stop = new AbortController()
  const opening = home.open(
    { kind: 'key', key },
    { network: 'missing', history: 'cheap', signal: stop.signal },
  )
  setTimeout(() => stop.abort(), 300)
  const start = performance.now()
  await expect(opening).rejects.toMatchObject({
    name: expect.stringMatching(/AbortError|ReproError/),
  })
  await home.close()
  expect(performance.now() - start).toBeLessThan(3000)
})
