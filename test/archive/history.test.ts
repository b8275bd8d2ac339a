import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type Hyperdrive from 'hyperdrive'
import { expect, test } from 'vitest'
import type { Bundle } from '../../src/archive/bundle.ts'
import { recordIn, type Tamper, tamper } from '../helpers/dishonest-author.ts'
import { codeOf, connect, openHome, publish } from './helpers.ts'

const near = { history: 'cheap', stallMs: 3000 } as const

/** A bundle with three releases, then tampered with; and a reader that never saw it before. */
async function tampered(act: Tamper, readers = 1) {
  const author = await openHome()
  const made = await author.store.create()
  for (const n of [1, 2, 3]) await publish(made, { file: `${n}` }, { tag: `v${n}` })
  const key = made.key
  const early: Awaited<ReturnType<typeof readerOf>>[] = []
  if (readers > 1) early.push(await readerOf(author, key))
  for (const { copy } of early)
    for (const n of [1, 2, 3]) await copy.openRelease({ release: n }, near)
  await author.store.close()
  await tamper(author.home, key, act)
  const again = await openHome(author.home)
  const fresh = await readerOf(again, key)
  return { key, fresh, early: early[0], again }
}

async function readerOf(author: Awaited<ReturnType<typeof openHome>>, key: string) {
  const reader = await openHome()
  connect(author.store, reader.store)
  const copy = await reader.store.open(key)
  await copy.update({ timeoutMs: 5000 })
  return { home: reader.home, copy, store: reader.store }
}

const record = recordIn
const put = (drive: Hyperdrive, n: number, bytes: Buffer) =>
  drive.put(`/.repro/releases/${n}.json`, bytes)
const faults = async (copy: Bundle) =>
  (await copy.releases({ history: 'all', stallMs: 3000 })).map(
    one => one.fault?.replace(/^.*: /, '') ?? null,
  )

test('a record that is put a second time, fork still 0', async () => {
  const { fresh } = await tampered(async (drive, sign) => {
    const { signature: _, ...first } = await record(drive, 1)
    await put(drive, 1, sign({ ...first, message: 'better', driveVersion: drive.version }))
  })
  expect(await codeOf(fresh.copy.openRelease({ release: 1 }, near))).toBe('HISTORY_REWRITTEN')
  expect(await codeOf(fresh.copy.openRelease({ release: 2 }, near))).toBe('no error')
  expect(await faults(fresh.copy)).toEqual(['its record was written again', null, null])
  const log = await fresh.copy.releases({ history: 'all' })
  expect(log[0]?.record?.message).toBeUndefined()
})

test('the very same record put again', async () => {
  const { fresh } = await tampered(async drive => {
    await put(drive, 3, Buffer.from(String(await drive.get('/.repro/releases/3.json'))))
  })
  expect(await codeOf(fresh.copy.openRelease({}, near))).toBe('HISTORY_REWRITTEN')
})

test('a deleted record, and one deleted and put again', async () => {
  const { fresh } = await tampered(async (drive, sign) => {
    const { signature: _, ...third } = await record(drive, 3)
    await drive.del('/.repro/releases/2.json')
    await drive.del('/.repro/releases/3.json')
    await put(drive, 3, sign({ ...third, driveVersion: drive.version }))
  })
  expect(await codeOf(fresh.copy.openRelease({ release: 2 }, near))).toBe('HISTORY_REWRITTEN')
  expect(await codeOf(fresh.copy.openRelease({ release: 'v2' }, near))).toBe('HISTORY_REWRITTEN')
  expect(await codeOf(fresh.copy.openRelease({}, near))).toBe('HISTORY_REWRITTEN')
  expect(await codeOf(fresh.copy.openRelease({ release: 1 }, near))).toBe('no error')
})

test('a tag that is used a second time', async () => {
  const { fresh } = await tampered(async (drive, sign) => {
    const { signature: _, ...third } = await record(drive, 3)
    await put(drive, 4, sign({ ...third, release: 4, tag: 'v1', driveVersion: drive.version }))
  })
  expect(await codeOf(fresh.copy.openRelease({ release: 'v1' }, near))).toBe('HISTORY_REWRITTEN')
  expect(await codeOf(fresh.copy.openRelease({ release: 'v2' }, near))).toBe('no error')
  expect(await faults(fresh.copy)).toEqual([null, null, null, 'its tag "v1" is that of release 1'])
})

test('a record that says another place than its own, or skips a number', async () => {
  const { fresh } = await tampered(async (drive, sign) => {
    const { signature: _, ...third } = await record(drive, 3)
    await put(drive, 4, sign({ ...third, release: 4, tag: 'v4' }))
    await put(drive, 6, sign({ ...third, release: 6, tag: 'v6', driveVersion: drive.version }))
  })
  for (const release of [4, 5, 6])
    expect(await codeOf(fresh.copy.openRelease({ release }, near))).toBe('HISTORY_REWRITTEN')
  expect(await codeOf(fresh.copy.openRelease({ release: 3 }, near))).toBe('no error')
})

test('a drive that was truncated and written again', async () => {
  const { fresh, early, again } = await tampered(async (drive, sign) => {
    const { signature: _, ...third } = await record(drive, 3)
    await drive.truncate(third.driveVersion)
    await put(drive, 3, sign({ ...third, message: 'other', driveVersion: drive.version }))
  }, 2)
  expect(await codeOf(fresh.copy.openRelease({}, near))).toBe('HISTORY_REWRITTEN')
  expect(await codeOf(fresh.copy.openRelease({ release: 1 }, near))).toBe('HISTORY_REWRITTEN')
  expect((await faults(fresh.copy)).every(one => one !== null)).toBe(true)
  expect(await codeOf(publish(await again.store.open(fresh.copy.key), { file: '4' }))).toBe(
    'HISTORY_REWRITTEN',
  )
  connect(again.store, early!.store)
  await early!.copy.update({ timeoutMs: 5000 })
  expect(await codeOf(early!.copy.openRelease({ release: 3 }, near))).toBe('HISTORY_REWRITTEN')
})

test('a reader that saw another content before says so, even of a fresh store', async () => {
  const author = await openHome()
  const made = await author.store.create()
  await publish(made, { file: '1' })
  const reader = await readerOf(author, made.key)
  await reader.copy.openRelease({ release: 1 }, near)
  await author.store.close()
  await reader.store.close()
  await rm(join(author.home, 'store'), { recursive: true })
  await rm(join(reader.home, 'store'), { recursive: true })
  const forked = await openHome(author.home)
  const again = await forked.store.open(made.key)
  expect(await again.unsynced()).toBe('store-behind')
  expect(await codeOf(publish(again, { file: 'another' }))).toBe('SYNC_NEEDED')
  await again.mayWrite()
  await publish(again, { file: 'another' })
  const later = await openHome(reader.home)
  connect(forked.store, later.store)
  const copy = await later.store.open(made.key)
  await copy.update({ timeoutMs: 5000 })
  expect(await codeOf(copy.openRelease({ release: 1 }, near))).toBe('HISTORY_REWRITTEN')
})

test('garbage where a newer record should be does not hide the last good release', async () => {
  const { fresh } = await tampered(async drive => {
    await put(drive, 4, Buffer.from('{"format":0}'))
  })
  expect((await fresh.copy.openRelease({}, near)).record.release).toBe(3)
  expect(await codeOf(fresh.copy.openRelease({ release: 4 }, near))).toBe('RECORD_INVALID')
  expect(await codeOf(fresh.copy.openRelease({ release: 5 }, near))).toBe('NOT_FOUND')
})

test('a record signed by somebody else', async () => {
  const other = await openHome()
  const stranger = await other.store.create()
  const theirs = (await publish(stranger, { file: '1' })).record
  const { fresh } = await tampered(async drive => {
    const own = await record(drive, 3)
    const mixed = {
      ...own,
      release: 4,
      tag: 'v4',
      driveVersion: drive.version,
      signature: theirs.signature,
    }
    await put(
      drive,
      4,
      Buffer.from(
        JSON.stringify(
          Object.fromEntries(Object.entries(mixed).sort(([a], [b]) => (a < b ? -1 : 1))),
        ),
      ),
    )
  })
  expect(await codeOf(fresh.copy.openRelease({ release: 4 }, near))).toBe('SIGNATURE_INVALID')
})

test('a pinned content hash that is not the release’s', async () => {
  const { store } = await openHome()
  const bundle = await store.create()
  await publish(bundle, { file: '1' })
  expect(await codeOf(bundle.openRelease({ hash: `blake3:${'0'.repeat(64)}` }, near))).toBe(
    'HASH_MISMATCH',
  )
})
