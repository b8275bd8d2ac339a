import { createHash } from 'node:crypto'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import Corestore from 'corestore'
import Hyperbee from 'hyperbee'
import Hyperdrive from 'hyperdrive'
import { expect, onTestFinished, test } from 'vitest'
import type { FileEntry, IndexEntry, ResolvedApp } from '../../schemas/index.ts'
import { checkoutRelease } from '../../src/archive/checkout.ts'
import { encodeCoreManifest, keyOfCoreManifest } from '../../src/archive/core-manifest.ts'
import { openFolderRelease } from '../../src/archive/folder-release.ts'
import { signRecord } from '../../src/archive/release-record.ts'
import { verifyRelease } from '../../src/archive/verify.ts'
import { verifyFolder } from '../../src/archive/verify-folder.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { formatKey } from '../../src/core/reference.ts'
import { blake3 } from '../../src/system/blake3.ts'
import { parallel } from '../../src/system/parallel.ts'
import { signingKeyFromSeed } from '../../src/system/signing.ts'
import {
  all,
  bytesOf,
  codeOf,
  drain,
  entryOf,
  openHome,
  prepareEntries,
  temporaryFolder,
  writeFiles,
} from './helpers.ts'

/** What a dishonest author writes: anything, signed with the right key. */
interface Forgery {
  readonly index: string
  readonly totals?: { entries: number; files: number; bytes: number }
  readonly files?: Readonly<Record<string, string>>
  readonly manifest?: (text: string) => string
  readonly announced?: (hash: string) => string
  readonly after?: (drive: Hyperdrive) => Promise<void>
}

async function forge(forgery: Forgery) {
  const folder = await temporaryFolder()
  const seed = createHash('sha256').update(folder).digest()
  const signer = signingKeyFromSeed(seed)
  const publicKey = Buffer.from(signer.publicKey, 'hex')
  const store = new Corestore(join(folder, 'store'))
  const session = store.session()
  const keyPair = { publicKey, secretKey: Buffer.concat([seed, publicKey]) }
  const bee = new Hyperbee(session.get({ keyPair, exclusive: true }), {
    keyEncoding: 'utf-8',
    valueEncoding: 'json',
    metadata: { contentFeed: null },
  })
  const drive = new Hyperdrive(session, null, { _db: bee })
  await drive.ready()
  onTestFinished(async () => {
    await drive.close()
    await store.close()
  })
  const coreManifest = encodeCoreManifest(signer.publicKey)
  const key = formatKey(await keyOfCoreManifest(coreManifest))
  expect(key).toBe(formatKey(drive.key))
  for (const [path, text] of Object.entries(forgery.files ?? {}))
    await drive.put(`/${path}`, Buffer.from(text))
  const hash = blake3(forgery.index)
  await drive.put(`/.repro/index/${hash}.jsonl`, Buffer.from(forgery.index))
  const totals = forgery.totals ?? { entries: 1, files: 1, bytes: 1 }
  const honest = prepareEntries(folder, [], { index: { blake3: hash, ...totals } }).manifestText
  const manifest = forgery.manifest?.(honest) ?? honest
  await drive.put('/.repro/manifest.json', Buffer.from(manifest))
  await forgery.after?.(drive)
  const contentHash = `blake3:${forgery.announced?.(blake3(manifest)) ?? blake3(manifest)}`
  const fields = {
    format: 0 as const,
    key,
    release: 1,
    date: '2026-01-01T00:00:00.000Z',
    driveVersion: drive.version,
    contentHash,
    files: totals.files,
    bytes: totals.bytes,
    coreManifest,
  }
  await drive.put('/.repro/releases/1.json', Buffer.from(signRecord(fields, signer).text))
  const reader = await openHome()
  const copy = await reader.store.open(key)
  const left = store.replicate(true)
  const right = reader.store.replicate(false)
  for (const stream of [left, right]) stream.on('error', () => undefined)
  left.pipe(right).pipe(left)
  onTestFinished(() => {
    left.destroy()
    right.destroy()
  })
  await copy.update({ timeoutMs: 5000 })
  return copy
}

const near = { history: 'cheap', stallMs: 1500 } as const
const line = (entry: object) => `${canonicalJson(entry)}\n`
const file = (path: string, text = 'x') => entryOf(path, text)
const opens = async (forgery: Forgery) => await codeOf((await forge(forgery)).openRelease({}, near))

test('a manifest that is not what the record says, or no valid one', async () => {
  const index = line(file('a'))
  expect(await opens({ index })).toBe('no error')
  expect(await opens({ index, announced: () => '0'.repeat(64) })).toBe('HASH_MISMATCH')
  expect(await opens({ index, manifest: () => 'no json' })).toBe('RECORD_INVALID')
  expect(await opens({ index, manifest: text => ` ${text}` })).toBe('RECORD_INVALID')
  expect(
    await opens({ index, manifest: text => text.replace('"authors":[]', '"authors":[],"bad":1') }),
  ).toBe('RECORD_INVALID')
  expect(await opens({ index, manifest: text => text.replace('"format":0', '"format":7') })).toBe(
    'FORMAT_UNSUPPORTED',
  )
  expect(await opens({ index, manifest: () => 'x'.repeat((16 << 20) + 1) })).toBe('RECORD_INVALID')
})

const APP: ResolvedApp = {
  image: null,
  command: ['true'],
  params: {},
  inputs: { include: ['**'], exclude: ['out'] },
  out: 'out',
  outputs: [{ path: 'o', compare: 'exact', expect: { blake3: '0'.repeat(64), path: 'a' } }],
  resources: {},
  network: 'none',
  env: {},
  modules: [],
  refuse: [],
}
const many = (n: number, item: unknown) => Array(n).fill(item)
const named = (n: number, value: unknown) =>
  Object.fromEntries(Array.from({ length: n }, (_, i) => [`n${i}`, value]))
const param = { type: 'string', flag: '--p' }

test('an app whose fields no author may write', async () => {
  const index = line(file('a'))
  const withApp = (changes: object) => (text: string) =>
    canonicalJson({ ...JSON.parse(text), apps: { default: { ...APP, ...changes } } })
  expect(await opens({ index, manifest: withApp({}) })).toBe('no error')
  const bad: object[] = [
    ...['o,src=/etc,dst=/repro/h', 'o:/etc', '../o', '/o', '', '.', '.repro/x', 'expected'],
    ...['expected/x', 'repro.yaml', 'o\n', 'o"', 'o\\x', 'o=x', 'o x', 'o\u0000', 'o/', 'o/../..'],
  ].map(out => ({ out }))
  bad.push(
    { image: 'not-there' },
    { command: ['a\u0000b'] },
    { command: many(1001, 'x') },
    { env: { 'A=B': 'x' } },
    { env: { '': 'x' } },
    { env: { 'A\nB': 'x' } },
    { env: { A: 'x\u0000' } },
    { env: named(1001, 'x') },
    { params: { '../x': param } },
    { params: { 'a,b': param } },
    { params: { p: { ...param, default: 'a\u0000' } } },
    { params: { p: { type: 'file', flag: '--p', default: '../x' } } },
    { params: { p: { ...param, pattern: '(' } } },
    { params: { p: { ...param, env: 'P' } } },
    { params: named(1001, param) },
    { inputs: { include: ['../x'], exclude: [] } },
    { inputs: { include: ['/../x'], exclude: [] } },
    { inputs: { include: ['out/x'], exclude: [] } },
    { inputs: { include: ['a\u0000'], exclude: [] } },
    { inputs: { include: ['**'], exclude: ['../x'] } },
    { inputs: { include: many(1001, 'x'), exclude: [] } },
    { inputs: { include: [], exclude: many(1001, 'x') } },
    ...['../o', '/o', 'a//b', '.repro/x', 'o\n', ''].map(path => ({
      outputs: [{ path, compare: 'exists' }],
    })),
    ...['../o', '/o', '.repro/manifest.json', 'out/o'].map(path => ({
      outputs: [{ path: 'o', compare: 'exact', expect: { blake3: '0'.repeat(64), path } }],
    })),
    { outputs: many(2, { path: 'o', compare: 'exists' }) },
    { outputs: Array.from({ length: 1001 }, (_, i) => ({ path: `o${i}`, compare: 'exists' })) },
    { outputs: [{ path: 'o', compare: 'text', ignore: ['('] }] },
    { outputs: [{ path: 'o', compare: 'text', ignore: many(101, 'x') }] },
    {
      outputs: Array.from({ length: 11 }, (_, i) => ({
        path: `o${i}`,
        compare: 'text',
        ignore: many(100, 'x'),
      })),
    },
    { outputs: [{ path: 'o', compare: 'table', rtol: 0, atol: 0, delimiter: 'ab', ignore: [] }] },
    { modules: ['R; rm -rf ~'] },
    { modules: many(1001, 'R') },
    { resources: { cpus: 1e9 } },
    { resources: { kernel: 'x' } },
    { resources: { arch: ['x y'] } },
    { resources: { mpi: { ranks: 1e12, launcher: 'host' } } },
    { resources: { gpu: { count: 1e12 } } },
  )
  const found = await all(
    parallel(bad, 8, async changes => [
      changes,
      await opens({ index, manifest: withApp(changes) }),
    ]),
  )
  expect(found.filter(([, code]) => code !== 'RECORD_INVALID')).toEqual([])
  expect(found).toHaveLength(bad.length)
  const twins = (text: string) => canonicalJson({ ...JSON.parse(text), apps: { a: APP, A: APP } })
  expect(await opens({ index, manifest: twins })).toBe('RECORD_INVALID')
  const crowd = (text: string) => canonicalJson({ ...JSON.parse(text), apps: named(501, APP) })
  expect(await opens({ index, manifest: crowd })).toBe('RECORD_INVALID')
})

test('a fetched folder whose manifest was exchanged for one that no author may write', async () => {
  const folder = await temporaryFolder()
  const open = async (app: object) => {
    const text = prepareEntries(folder, [], { apps: { default: app as ResolvedApp } }).manifestText
    await writeFiles(folder, {
      '.repro/manifest.json': text,
      '.repro/checkout.json': canonicalJson({
        format: 0,
        key: null,
        release: null,
        contentHash: `blake3:${blake3(text)}`,
        complete: true,
        partial: false,
      }),
    })
    return await codeOf(openFolderRelease(folder))
  }
  expect(await open(APP)).toBe('no error')
  expect(await open({ ...APP, out: 'o,src=/etc' })).toBe('RECORD_INVALID')
})

async function walks(
  index: string,
  totals?: Forgery['totals'],
  files?: Forgery['files'],
): Promise<string> {
  const copy = await forge({ index, ...(totals ? { totals } : {}), ...(files ? { files } : {}) })
  const release = await copy.openRelease({}, near)
  return await codeOf(all(release.entries()))
}

test('an index with unsafe paths, links, or repro’s own files', async () => {
  expect(await walks(line(file('a')))).toBe('no error')
  for (const path of ['../a', '/a', 'a/../../b', 'a\\b', 'a\nb', 'a/./b', 'a//b', ''])
    expect([path, await walks(line(file(path)))]).toEqual([path, 'PATH_UNSAFE'])
  for (const path of ['.repro/manifest.json', '.REPRO/x', '.repro/bundle.json', '.repro'])
    expect([path, await walks(line(file(path)))]).toEqual([path, 'PATH_UNSAFE'])
  const link = (target: string) => line({ path: 'l', type: 'link', target })
  for (const target of ['/etc/passwd', '../x', 'a/../../x'])
    expect(await walks(link(target), { entries: 1, files: 0, bytes: 0 })).toBe('LINK_UNSAFE')
})

test('an index that is out of order, doubled, miscounted, or no index at all', async () => {
  expect(await walks(line(file('b')) + line(file('a')))).toBe('RECORD_INVALID')
  expect(await walks(line(file('a')) + line(file('a')))).toBe('RECORD_INVALID')
  expect(await walks(line(file('a')), { entries: 2, files: 2, bytes: 2 })).toBe('RECORD_INVALID')
  expect(await walks('{"path": "a"}\n')).toBe('RECORD_INVALID')
  expect(await walks(line({ ...file('a'), extra: 1 }))).toBe('RECORD_INVALID')
  const missing = line({ segment: '0'.repeat(64), first: 'a', last: 'b', entries: 1, bytes: 1 })
  expect(await walks(missing)).toBe('HASH_MISMATCH')
})

test('bytes in the drive that are not what the index says', async () => {
  const entries = [file('gone'), file('long', 'x'), file('other', 'x')] as FileEntry[]
  const copy = await forge({
    index: entries.map(line).join(''),
    totals: { entries: 3, files: 3, bytes: 3 },
    files: { long: 'xx', other: 'y' },
  })
  const release = await copy.openRelease({}, near)
  const [gone, long, other] = entries
  expect(await codeOf(bytesOf(release.read(gone!)))).toBe('HASH_MISMATCH')
  expect(await codeOf(all(release.fetch([long!])))).toBe('HASH_MISMATCH')
  expect(String(await bytesOf(release.read(other!)))).toBe('y')
  const folder = await temporaryFolder()
  const only = { filter: (path: string) => path === 'other' }
  expect(await codeOf(drain(checkoutRelease(release, folder, only)))).toBe('HASH_MISMATCH')
  expect(await codeOf(lstat(join(folder, 'other')))).toBe('ENOENT')
})

test('blobs that point beyond the drive, or are malformed', async () => {
  const index = line(file('a')) + line(file('b'))
  const copy = await forge({
    index,
    totals: { entries: 2, files: 2, bytes: 2 },
    after: async drive => {
      const blob = { blockOffset: 1 << 20, blockLength: 1, byteOffset: 0, byteLength: 1 }
      await drive.putEntry('/a', { blob })
      await drive.putEntry('/b', { blob: { ...blob, blockLength: -5 } })
    },
  })
  const release = await copy.openRelease({}, near)
  const [a, b] = (await all(release.entries())) as FileEntry[]
  expect(await codeOf(bytesOf(release.read(a!)))).toBe('NO_PEER')
  expect(await codeOf(bytesOf(release.read(b!)))).toBe('RECORD_INVALID')
})

test('a blob of more blocks than the drive has: what is there is looked for, the rest waited for', async () => {
  const size = 1 << 26
  const huge: FileEntry = { path: 'a', type: 'file', size, blake3: '0'.repeat(64) }
  const copy = await forge({
    index: line(huge),
    totals: { entries: 1, files: 1, bytes: size },
    after: async drive => {
      const blob = { blockOffset: 0, blockLength: size, byteOffset: 0, byteLength: size }
      await drive.putEntry('/a', { blob })
    },
  })
  const release = await copy.openRelease({}, near)
  expect(await codeOf(all(release.fetch([huge])))).toBe('NO_PEER')
})

type Uint = number | readonly [9, bigint]
const uint = (value: Uint): Buffer => {
  const bytes = Buffer.alloc(9)
  if (typeof value !== 'number') {
    bytes[0] = 0xff
    bytes.writeBigUInt64LE(value[1], 1)
    return bytes
  }
  if (value < 0xfd) return Buffer.from([value])
  bytes[0] = value < 0x10000 ? 0xfd : 0xfe
  if (value < 0x10000) bytes.writeUInt16LE(value, 1)
  else bytes.writeUInt32LE(value, 1)
  return bytes.subarray(0, value < 0x10000 ? 3 : 5)
}

test('a file that Hyperdrive itself wrote with a block map', async () => {
  const bytes = Buffer.alloc(300 * 65_536, 'same bytes, again and again; ')
  const whole = { ...(file('a') as FileEntry), size: bytes.length, blake3: blake3(bytes) }
  const copy = await forge({
    index: line(whole),
    totals: { entries: 1, files: 1, bytes: bytes.length },
    after: async drive => {
      const { createWriteStream } = drive as unknown as {
        createWriteStream(path: string, options: { dedup: true }): Writable
      }
      const stream = createWriteStream.call(drive, '/a', { dedup: true })
      for (let at = 0; at < bytes.length; at += 65_536)
        stream.write(bytes.subarray(at, at + 65_536))
      await new Promise(resolve => stream.end(() => resolve(null)).once('close', resolve))
      const entry = (await drive.entry('/a'))!.value as { blob: { blockMap: boolean } }
      expect(entry.blob.blockMap).toBe(true)
    },
  })
  const release = await copy.openRelease({}, near)
  await all(release.fetch([whole]))
  expect(bytes.equals(await bytesOf(release.read(whole)))).toBe(true)
})

test('a file with a block map is read; one whose map names other bytes than the index is refused', async () => {
  const parts = ['one', 'two', 'three']
  const text = [0, 1, 0, 2].map(i => parts[i]).join('')
  const whole = file('a', text) as FileEntry
  /** Puts the file with a map of these entries, each a part and its length; a part may be one that is not there. */
  const mapOf = async (
    entries: readonly (readonly [Uint, Uint])[],
    change: (map: Buffer) => Buffer[] = map => [map],
    more: object = {},
  ) => {
    const copy = await forge({
      index: line(whole),
      totals: { entries: 1, files: 1, bytes: text.length },
      after: async drive => {
        const { core } = (await drive.getBlobs())!
        const first = core.length
        await core.append(parts.map(part => Buffer.from(part)))
        const at = (index: Uint) => uint(typeof index === 'number' ? index + first : index)
        const list = entries.flatMap(([index, length]) => [at(index), uint(length)])
        const maps = change(Buffer.concat([uint(0), uint(entries.length), ...list]))
        const blob = {
          blockOffset: core.length,
          byteOffset: core.byteLength,
          blockLength: maps.length,
          byteLength: maps.reduce((sum, map) => sum + map.length, 0),
          blockMap: true,
          ...more,
        }
        await core.append(maps)
        await drive.putEntry('/a', { blob })
      },
    })
    const release = await copy.openRelease({}, near)
    const fetched = await codeOf(all(release.fetch([whole])))
    const read = await bytesOf(release.read(whole)).then(String, error => error.code)
    return [fetched, read]
  }
  const honest: [number, number][] = [0, 1, 0, 2].map(i => [i, parts[i]!.length])
  const refused = ['HASH_MISMATCH', 'HASH_MISMATCH']
  expect(await mapOf(honest)).toEqual(['no error', text])
  expect(await mapOf(Array(5000).fill([0, 3]))).toEqual(refused)
  expect(await mapOf(Array(8193).fill([0, 3]))).toEqual(refused)
  expect(await mapOf([...honest, [0, 3]])).toEqual(refused)
  expect(await mapOf([...honest, [0, 0]])).toEqual(refused)
  expect(await mapOf([...honest.slice(1), [9, 3]])).toEqual(refused)
  expect(await mapOf([...honest.slice(1), [[9, 2n ** 63n], 3]])).toEqual(refused)
  expect(await mapOf([...honest.slice(1), [0, [9, 2n ** 63n]]])).toEqual(refused)
  expect(await mapOf(honest, map => [map.subarray(0, -1)])).toEqual(refused)
  expect(await mapOf(honest, map => [Buffer.concat([Buffer.from([1]), map.subarray(1)])])).toEqual(
    refused,
  )
  expect(await mapOf(honest, map => [map, map])).toEqual(refused)
  expect(await mapOf(honest, map => [map], { blockLength: 1 << 26 })).toEqual(refused)
  expect((await mapOf(honest.map(([index]) => [index, 1])))[0]).toBe('HASH_MISMATCH')
  // The right sum of wrong lengths: found as soon as a block is read.
  const shifted = [2, 4, 4, 4].map((length, i): [number, number] => [honest[i]![0], length])
  expect((await mapOf(shifted))[1]).toBe('HASH_MISMATCH')
})

test('links that leave by way of another: nothing is written, and a copy with them is not verified', async () => {
  const entries: IndexEntry[] = [
    file('a/b/file'),
    { path: 'a/b/p', type: 'link', target: 'up/../../x' },
    { path: 'a/b/up', type: 'link', target: '..' },
  ]
  const copy = await forge({
    index: entries.map(line).join(''),
    totals: { entries: 3, files: 1, bytes: 1 },
    files: { 'a/b/file': 'x' },
  })
  const release = await copy.openRelease({}, near)
  const above = await temporaryFolder()
  const folder = join(above, 'copy')
  for (const options of [{}, { filter: (path: string) => path === 'a/b/p' }, { force: true }])
    expect(await codeOf(drain(checkoutRelease(release, folder, options)))).toBe('LINK_UNSAFE')
  expect(await readdir(above)).toEqual([])
  expect(await codeOf(drain(verifyRelease(release)))).toBe('LINK_UNSAFE')

  await writeFiles(folder, {
    '.repro/manifest.json': release.manifestText,
    '.repro/releases/1.json': canonicalJson(release.record),
    [`.repro/index/${release.manifest.index.blake3}.jsonl`]: entries.map(line).join(''),
    '.repro/checkout.json': canonicalJson({
      format: 0,
      key: release.identity.key,
      release: 1,
      contentHash: release.identity.contentHash,
      complete: true,
      partial: false,
    }),
    'a/b/file': 'x',
    'a/b/p': { link: 'up/../../x' },
    'a/b/up': { link: '..' },
  })
  expect(await codeOf(drain(verifyFolder(folder)))).toBe('LINK_UNSAFE')
})

test('a release whose files and folders collide is not written', async () => {
  const entries: IndexEntry[] = [file('a'), file('a/b')]
  const copy = await forge({
    index: entries.map(line).join(''),
    totals: { entries: 2, files: 2, bytes: 2 },
    files: { a: 'x', 'a/b': 'x' },
  })
  const release = await copy.openRelease({}, near)
  const code = await codeOf(drain(checkoutRelease(release, await temporaryFolder())))
  expect(['PATH_UNSAFE', 'TARGET_CHANGED']).toContain(code)
})
