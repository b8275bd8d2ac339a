import { randomBytes } from 'node:crypto'
import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import Corestore from 'corestore'
import HypercoreStorage from 'hypercore-storage'
import Hyperdrive from 'hyperdrive'
import { expect, onTestFinished, test } from 'vitest'
import type { WorkRecord } from '../../schemas/index.ts'
import { adoptOwnBundle, readOwnSecret } from '../../src/archive/own-bundles.ts'
import type { Home } from '../../src/core/home.ts'
import { parseKey } from '../../src/core/reference.ts'
import type { HostPort, Settings } from '../../src/core/settings.ts'
import { verify } from '../../src/daemon/operations/verify.ts'
import { openSeed } from '../../src/system/seed.ts'
import { codeOf, drain, prepare, temporaryFolder } from '../archive/helpers.ts'
import { newSettings, openTestHome, publishFiles, withNetwork } from '../helpers/homes.ts'

const big = (n: number) => Buffer.alloc(200_000, n)
const listen = { host: '127.0.0.1', port: 0 }

async function publish(home: Home, n: number, key: string | null, unsynced = false) {
  const work = home.publish(await prepare({ file: `${n}`, [`data-${n}`]: big(n) }), {
    key,
    unsynced,
  })
  const records: WorkRecord[] = []
  for (;;) {
    const { done, value } = await work.next()
    if (done) return { record: value.record, records }
    records.push(value)
  }
}

/** A stock store that holds whole drives, over plain TCP. */
async function stockPeer() {
  const store = new Corestore(await temporaryFolder())
  let server: Server | null = null
  onTestFinished(async () => {
    server?.close()
    await store.close()
  })
  const pipe = (initiator: boolean, socket: import('node:net').Socket) => {
    const stream = store.replicate(initiator)
    stream.on('error', () => undefined)
    socket.on('error', () => undefined)
    stream.pipe(socket).pipe(stream)
    onTestFinished(() => void socket.destroy())
    return socket
  }
  return {
    store,
    dial: async ({ host, port }: HostPort) => {
      const { connect } = await import('node:net')
      return pipe(true, connect(port, host))
    },
    serve: async (): Promise<HostPort> => {
      server = createServer(socket => pipe(false, socket))
      await new Promise<void>(resolve => server!.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as { port: number }
      return { host: '127.0.0.1', port }
    },
  }
}

async function until(check: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + 10_000
  while (!(await check())) {
    if (Date.now() > end) throw new Error('it did not come true within 10 s')
    await new Promise(resolve => setTimeout(resolve, 30))
  }
}

/**
 * An author whose disk lost all of release 2, although a stock peer that was connected the whole time has it.
 * With `seen` the loss is complete: the home does not know either that there was a release 2.
 */
async function lostTail({ seen }: { readonly seen: boolean }) {
  const settings = await newSettings({ listen })
  const first = await openTestHome(settings)
  const { record } = await publish(first, 1, null)
  await first.close()
  const backup = await temporaryFolder()
  const parts = ['store/db', 'store/blocks', ...(seen ? ['seen'] : [])]
  for (const part of parts)
    await cp(join(settings.home, part), join(backup, part), { recursive: true })

  const home = await openTestHome(settings)
  const sharing = await home.share([])
  const peer = await stockPeer()
  const drive = new Hyperdrive(peer.store, Buffer.from(parseKey(record.key)))
  await drive.ready()
  await peer.dial(sharing.listening!)
  await until(async () => String(await drive.get('/file')) === '1')
  await publish(home, 2, record.key)
  await until(async () => String(await drive.get('/file')) === '2')
  await peer.store
    .get({ key: drive.core.key })
    .download({ start: 0, end: drive.core.length })
    .done()
  const blobs = (await drive.getBlobs())!.core
  await blobs.download({ start: 0, end: blobs.length }).done()
  const { length } = drive.core
  await home.close()

  for (const part of parts) {
    await rm(join(settings.home, part), { recursive: true })
    await cp(join(backup, part), join(settings.home, part), { recursive: true })
  }
  await markOtherBoot(settings, record.key)
  return { settings: withNetwork(settings, { listen: null }), record, peer, drive, blobs, length }
}

async function markOtherBoot({ home }: Settings, key: string): Promise<void> {
  const boot = '00000000-0000-4000-8000-000000000000'
  const mark = { format: 0, key, boot, pid: 1 }
  await writeFile(join(home, 'bundles', `${key}.writing`), JSON.stringify(mark))
}

const noteOf = (records: readonly WorkRecord[]) =>
  records.filter(one => one.action === 'note').map(one => one.message)

test.each([true, false])(
  'an author whose disk lost what peers have goes on after it, without a fork (seen lost: %s)',
  async seen => {
    const { settings, record, peer, drive, blobs, length } = await lostTail({ seen })
    const home = await openTestHome(withNetwork(settings, { peers: [await peer.serve()] }))
    const { record: third, records } = await publish(home, 3, record.key)
    expect(third.release).toBe(3)
    expect(third.driveVersion).toBeGreaterThanOrEqual(length)
    expect(noteOf(records).join()).toMatch(/took over \d+ blocks that 1 peer had/)
    await until(async () => String(await drive.get('/file')) === '3')
    expect([drive.core.fork, blobs.fork]).toEqual([0, 0])
    const log = await home.log(
      { kind: 'key', key: record.key },
      { network: 'never', history: 'all' },
    )
    expect(log.map(one => [one.release, one.fault])).toEqual([
      [1, null],
      [2, null],
      [3, null],
    ])
    await home.close()
    const again = await openTestHome(settings)
    const { record: fourth } = await publish(again, 4, record.key)
    expect(fourth.release).toBe(4)
  },
  60_000,
)

test('with nobody to ask and no sign of a loss it says so and goes on; readers then find the fork', async () => {
  const { settings, record, peer } = await lostTail({ seen: true })
  const reading = await newSettings({ peers: [await peer.serve()], waitMs: 4000 })
  const ref = { kind: 'key', key: record.key } as const
  const options = { network: 'newest', history: 'all' } as const
  const before = await openTestHome(reading)
  expect((await before.open(ref, options)).record.release).toBe(2)
  await before.close()

  const home = await openTestHome(withNetwork(settings, { listen }))
  const { record: second, records } = await publish(home, 22, record.key)
  expect(second.release).toBe(2)
  expect(noteOf(records).join()).toMatch(/no peer answered; publishing goes on/)
  await publish(home, 23, record.key)
  const { listening } = await home.share([])

  const reader = await openTestHome(withNetwork(reading, { peers: [listening!] }))
  await until(async () => {
    const log = await reader.log(ref, options)
    return log.every(one => one.fault?.includes('two different histories'))
  })
  for (const release of [undefined, 1, 2])
    expect(await codeOf(reader.open({ ...ref, ...(release ? { release } : {}) }, options))).toBe(
      'HISTORY_REWRITTEN',
    )
  await reader.close()
  const later = await openTestHome(withNetwork(reading, { peers: [] }))
  expect(await codeOf(later.open({ ...ref, release: 2 }, { ...options, network: 'never' }))).toBe(
    'HISTORY_REWRITTEN',
  )
}, 60_000)

test('with nobody to ask and a home that knows of more, nothing is written', async () => {
  const { settings, record } = await lostTail({ seen: false })
  const home = await openTestHome(withNetwork(settings, { waitMs: 500 }))
  expect(await codeOf(publish(home, 3, record.key))).toBe('SYNC_NEEDED')
  const log = await home.log({ kind: 'key', key: record.key }, { network: 'never', history: 'all' })
  expect(log).toHaveLength(1)
  const { record: forced, records } = await publish(home, 3, record.key, true)
  expect(forced.release).toBe(2)
  expect(noteOf(records).join()).toMatch(/written without asking peers/)
}, 60_000)

test('a folder that knows of more releases than the store keeps its author from writing', async () => {
  const settings = await newSettings({ waitMs: 300 })
  const home = await openTestHome(settings)
  const { record } = await publish(home, 1, null)
  await home.close()
  const again = await openTestHome(settings)
  const { key } = record
  expect(await codeOf(again.startPublish({ key, released: 2 }))).toBe('SYNC_NEEDED')
  const session = await again.startPublish({ key, released: 1 })
  await session.close()
})

test('an imported key first syncs, then writes; without a peer it does not write', async () => {
  const settings = await newSettings({ listen })
  const author = await openTestHome(settings)
  const { record } = await publish(author, 1, null)
  await publish(author, 2, record.key)
  const { listening } = await author.share([])
  const there = await newSettings({ waitMs: 500 })
  const secret = (await readOwnSecret(settings.home, await openSeed(settings.home), record.key))!
  await adoptOwnBundle(there.home, secret)
  const alone = await openTestHome(there)
  expect(await codeOf(publish(alone, 3, record.key))).toBe('SYNC_NEEDED')
  await alone.close()
  const near = await openTestHome(withNetwork(there, { peers: [listening!], waitMs: 8000 }))
  const { record: third, records } = await publish(near, 3, record.key)
  expect(third.release).toBe(3)
  expect(noteOf(records).join()).toMatch(/took over \d+ blocks/)
  const log = await near.log({ kind: 'key', key: record.key }, { network: 'never', history: 'all' })
  expect(log.map(one => one.fault)).toEqual([null, null, null])
  await near.close()
  const later = await openTestHome(there)
  expect((await publish(later, 4, record.key)).record.release).toBe(4)
}, 60_000)

test('a mark of this boot asks nobody: a process that was killed lost nothing', async () => {
  const settings = await newSettings({ peers: [{ host: '127.0.0.1', port: 9 }], waitMs: 60_000 })
  const home = await openTestHome(settings)
  const { record } = await publish(home, 1, null)
  const mark = join(settings.home, 'bundles', `${record.key}.writing`)
  const left = await readFile(mark)
  expect(JSON.parse(String(left))).toMatchObject({ key: record.key, pid: process.pid })
  await home.close()
  await expect(readFile(mark)).rejects.toThrow('ENOENT')
  await writeFile(mark, left)
  const again = await openTestHome(settings)
  await expect(readFile(mark)).rejects.toThrow('ENOENT')
  const { record: second, records } = await publish(again, 2, record.key)
  expect(second.release).toBe(2)
  expect(records.some(one => one.action === 'connect')).toBe(false)
}, 30_000)

test('a mark that cannot be read counts as a stop of the machine', async () => {
  const settings = await newSettings()
  const home = await openTestHome(settings)
  const { record } = await publish(home, 1, null)
  await home.close()
  await writeFile(join(settings.home, 'bundles', `${record.key}.writing`), '{"format":0')
  const again = await openTestHome(withNetwork(settings, { waitMs: 300 }))
  const { records } = await publish(again, 2, record.key)
  expect(noteOf(records).join()).toMatch(/no peer answered/)
}, 30_000)

test('a store whose log of writes was thrown away does not wait for peers for ever', async () => {
  const settings = await newSettings()
  const home = await openTestHome(settings)
  const { record } = await publish(home, 1, null)
  await home.close()
  const storage = new HypercoreStorage(join(settings.home, 'store'))
  await storage.ready()
  await (storage as unknown as { setRecovering(): Promise<void> }).setRecovering()
  await storage.close()
  const again = await openTestHome(withNetwork(settings, { waitMs: 300 }))
  const { record: second, records } = await publish(again, 2, record.key)
  expect(second.release).toBe(2)
  expect(noteOf(records).join()).toMatch(/no peer answered/)
}, 20_000)

test('what a publish that was cut off left without its bytes is stored again, not published', async () => {
  const settings = await newSettings({ waitMs: 300 })
  const { key } = await publishFiles(settings, { 'a.txt': 'first' })
  const blocks = join(settings.home, 'store/blocks')
  const content = randomBytes(3 << 20)
  const both = { 'a.txt': 'first', 'big.dat': content }
  const home = await openTestHome(settings)
  const work = home.publish(await prepare(both), { key })
  // Some of it is in the tree already, none is in a release.
  for (let at = await work.next(); ; at = await work.next()) {
    if (at.done) throw new Error('it was published')
    if (at.value.action === 'release') break
  }
  await work.return(undefined as never)
  await home.close()
  for (const name of await readdir(blocks)) await truncate(join(blocks, name), 5000)
  await markOtherBoot(settings, key)
  const { release } = await publishFiles(settings, both, { key })
  expect(release).toBe(2)
  const { result } = await drain(verify(settings, `${key}@2`))
  expect([...result.changed, ...result.missing]).toEqual([])
}, 30_000)
