import type Hyperdrive from 'hyperdrive'
import { expect, test } from 'vitest'
import type { Bundle } from '../../src/archive/bundle.ts'
import { recordIn, type Tamper, tamper } from '../helpers/dishonest-author.ts'
import { bytesOf, codeOf, connect, openHome, publish } from './helpers.ts'

const near = { history: 'cheap', stallMs: 3000 } as const
const here = { history: 'all', stallMs: 0 } as const

/** A bundle with three releases, and a reader that has fetched all of them. */
async function readBefore() {
  const author = await openHome()
  const made = await author.store.create()
  for (const n of [1, 2, 3]) await publish(made, { file: `${n}`.repeat(5000) }, { tag: `v${n}` })
  const { key } = made
  const reader = await openHome()
  const cut = connect(author.store, reader.store)
  const copy = await reader.store.open(key)
  await copy.update({ timeoutMs: 5000 })
  for (const n of [1, 2, 3]) expect(await read(copy, n)).toBe(`${n}`.repeat(5000))
  return { author, made, key, reader, copy, cut }
}

async function read(copy: Bundle, release: number): Promise<string> {
  const open = await copy.openRelease({ release }, near)
  for await (const entry of open.entries())
    if (entry.type === 'file') return String(await bytesOf(open.read(entry)))
  throw new Error('it has no file')
}

async function faultsOf(copy: Bundle): Promise<(string | null)[]> {
  return (await copy.releases(here)).map(one => one.fault)
}

async function until(check: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 8000
  while (!(await check())) {
    if (Date.now() > end) throw new Error('it did not come true within 8 s')
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

/** The author's drive is truncated and gets the last release again, by `act`. */
const again =
  (change: (drive: Hyperdrive) => Promise<void>): Tamper =>
  async (drive, sign) => {
    const { signature: _, ...third } = await recordIn(drive, 3)
    await drive.truncate((await recordIn(drive, 2)).driveVersion + 1)
    await change(drive)
    const bytes = sign({ ...third, driveVersion: drive.version })
    await drive.put('/.repro/releases/3.json', bytes)
  }

test.each([
  ['other content', async (drive: Hyperdrive) => void (await drive.put('/file', Buffer.from('x')))],
  ['the same content', async () => undefined],
])(
  'an owner truncates and writes the same releases again, with %s: what was read is kept',
  async (_, change) => {
    const { author, key, reader, copy, cut } = await readBefore()
    cut()
    await author.store.close()
    await tamper(author.home, key, again(change))
    const forked = await openHome(author.home)
    await forked.store.open(key)
    connect(forked.store, reader.store)
    await until(async () => (await faultsOf(copy)).every(fault => fault?.includes('fork 1')))
    expect((await faultsOf(copy))[2]).toMatch(/fetched before is kept/)
    for (const selection of [{}, { release: 1 }, { release: 3 }, { release: 'v3' }])
      expect(await codeOf(copy.openRelease(selection, near))).toBe('HISTORY_REWRITTEN')
    const log = await copy.releases(here)
    expect(log.map(one => one.record?.contentHash)).not.toContain(undefined)

    await reader.store.close()
    const later = await openHome(reader.home)
    const offline = await later.store.open(key)
    expect(await codeOf(offline.openRelease({}, here))).toBe('HISTORY_REWRITTEN')
    expect((await faultsOf(offline)).every(fault => fault?.includes('fork 1'))).toBe(true)
    expect((await offline.releases(here)).map(one => one.record?.contentHash)).toEqual(
      log.map(one => one.record?.contentHash),
    )
  },
)

test('an owner truncates while the reader is connected', async () => {
  const { made, copy } = await readBefore()
  const { drive } = made as unknown as { drive: Hyperdrive }
  const { driveVersion } = (await made.openRelease({ release: 3 }, near)).record
  await drive.truncate(driveVersion)
  await drive.put('/file', Buffer.from('other'))
  await (made as unknown as { makeDurable(): Promise<void> }).makeDurable()
  await until(async () => (await faultsOf(copy)).every(fault => fault?.includes('fork 1')))
  expect(await codeOf(copy.openRelease({ release: 1 }, near))).toBe('HISTORY_REWRITTEN')
  expect(await codeOf(publish(made, { file: 'more' }))).toBe('HISTORY_REWRITTEN')
})

test('an owner truncates the bytes alone', async () => {
  const { author, key, reader, copy, cut } = await readBefore()
  cut()
  await author.store.close()
  await tamper(author.home, key, async drive => {
    const { core } = (await drive.getBlobs())!
    const { length } = core
    await (core as unknown as { truncate(length: number): Promise<void> }).truncate(length - 1)
    await core.append([Buffer.from('other')])
  })
  const forked = await openHome(author.home)
  await forked.store.open(key)
  connect(forked.store, reader.store)
  await until(async () => (await faultsOf(copy)).every(fault => fault?.includes('the bytes of')))
})

test('a fork that a peer only claims changes nothing', async () => {
  const { author, reader, copy, key } = await readBefore()
  const stranger = await openHome()
  const other = await stranger.store.open(key)
  connect(author.store, stranger.store)
  await other.update({ timeoutMs: 5000 })
  const { drive } = other as unknown as { drive: { core: { core: { state: { fork: number } } } } }
  drive.core.core.state.fork = 7
  const mark = await stranger.store.create()
  await publish(mark, { file: 'mark' })
  connect(stranger.store, reader.store)
  const { core } = (copy as unknown as { drive: { core: { peers: { remoteFork: number }[] } } })
    .drive
  await until(async () => core.peers.some(peer => peer.remoteFork === 7))
  // What came with the claim is done with when a whole release came the same way behind it.
  const seen = await reader.store.open(mark.key)
  await seen.update({ timeoutMs: 5000 })
  expect(await read(seen, 1)).toBe('mark')
  expect((await faultsOf(copy)).every(fault => fault === null)).toBe(true)
  drive.core.core.state.fork = 0
})
