import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { appClosure } from '../../src/core/app-closure.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { closureEntries, closurePrefixes } from '../../src/run/closure-prefixes.ts'
import { executeStage } from '../../src/run/execute-stage.ts'
import { openStage } from '../../src/run/open-stage.ts'
import { stageFolder, stageRelease } from '../../src/run/stage.ts'
import { blake3 } from '../../src/system/blake3.ts'
import { makeSource, type TestSource } from './folder-source.ts'
import { finish, Workbench } from './workbench.ts'

let bench: Workbench
let source: TestSource
let folder: string
beforeEach(async () => {
  bench = new Workbench()
  source = makeSource({
    files: { 'data/a.txt': 'aaaa', 'run.sh': 'cat data/a.txt > out/o', 'expected/o': 'aaaa' },
    executable: ['run.sh'],
    links: { 'data/l': 'a.txt' },
    folders: ['empty'],
    apps: { default: { command: ['sh', 'run.sh'], outputs: [{ path: 'o', compare: 'exact' }] } },
  })
  folder = stageFolder(bench.cache, source.identity.contentHash, 'default')
  await stage()
  source.fetched.length = 0
})
afterEach(() => bench.remove())

async function stage(more: { rehash?: boolean } = {}) {
  const work = stageRelease(source, 'default', { cache: bench.cache, ...more })
  for (;;) {
    const step = await work.next()
    if (step.done) return step.value
  }
}

const bundle = (path: string) => join(folder, 'bundle', path)

test('a stage holds the inputs, an empty out folder, expected outputs by hash, and a record', async () => {
  expect(readdirSync(folder).sort()).toEqual(['bundle', 'expected', 'stage.json'])
  expect(readdirSync(join(folder, 'bundle')).sort()).toEqual(['data', 'empty', 'out', 'run.sh'])
  const [expected] = readdirSync(join(folder, 'expected'))
  expect(readFileSync(join(folder, 'expected', expected!), 'utf8')).toBe('aaaa')
  expect(await openStage(folder)).toMatchObject({ checked: 'stat', rootfs: null })
  expect(await stage()).toMatchObject({ checked: 'stat' })
  expect(source.fetched).toEqual([])
})

test.each<[string, () => void, string]>([
  ['changed bytes', () => appendFileSync(bundle('data/a.txt'), 'x'), 'changed "bundle/data/a.txt"'],
  [
    'changed bytes of the same length and time',
    () => {
      writeFileSync(bundle('data/a.txt'), 'bbbb')
      utimesSync(bundle('data/a.txt'), 1, 1)
    },
    'changed "bundle/data/a.txt"',
  ],
  ['a changed mode', () => chmodSync(bundle('run.sh'), 0o644), 'changed "bundle/run.sh"'],
  ['a missing file', () => rmSync(bundle('data/a.txt')), 'missing "bundle/data/a.txt"'],
  [
    'a missing folder',
    () => rmSync(bundle('empty'), { recursive: true }),
    'missing "bundle/empty"',
  ],
  ['an extra file', () => writeFileSync(bundle('data/extra'), ''), 'extra "bundle/data/extra"'],
  ['something in out', () => writeFileSync(bundle('out/o'), 'aaaa'), 'extra "bundle/out/o"'],
  [
    'a link that points elsewhere',
    () => {
      rmSync(bundle('data/l'))
      symlinkSync('../run.sh', bundle('data/l'))
    },
    'changed "bundle/data/l"',
  ],
  [
    'a folder that is a link',
    () => {
      renameSync(bundle('data'), join(bench.folder, 'moved'))
      symlinkSync(join(bench.folder, 'moved'), bundle('data'))
    },
    'changed "bundle/data"',
  ],
  [
    'a changed expected output',
    () => {
      const [name] = readdirSync(join(folder, 'expected'))
      writeFileSync(join(folder, 'expected', name!), 'bbbb')
    },
    'changed "expected/',
  ],
])('%s: refused when executed alone, made again from the release', async (_, damage, fault) => {
  damage()
  const alone = finish(executeStage(folder, bench.options({ runtime: 'host' })))
  await expect(alone).rejects.toMatchObject({
    code: 'HASH_MISMATCH',
    message: expect.stringContaining(fault),
  })
  expect(existsSync(join(bench.home, 'runs'))).toBe(false)
  expect(await stage()).toMatchObject({ checked: 'hashed' })
  expect(source.fetched).toContain('data/a.txt')
  const { receipt } = await finish(executeStage(folder, bench.options({ runtime: 'host' })))
  expect(receipt.verdict).toBe('reproduced')
})

test('a touched file is hashed again, found good, and trusted again', async () => {
  utimesSync(bundle('data/a.txt'), 5, 5)
  expect((await openStage(folder)).checked).toBe('hashed')
  expect((await openStage(folder)).checked).toBe('stat')
  expect((await openStage(folder, { rehash: true })).checked).toBe('hashed')
})

test('a record with another manifest, or that is no record, is refused', async () => {
  const path = join(folder, 'stage.json')
  const record = JSON.parse(readFileSync(path, 'utf8'))
  record.manifest.apps.default.command = ['sh', '-c', 'echo owned']
  writeFileSync(path, JSON.stringify(record))
  await expect(openStage(folder)).rejects.toMatchObject({ code: 'HASH_MISMATCH' })
  writeFileSync(path, '{')
  await expect(openStage(folder)).rejects.toMatchObject({ code: 'RECORD_INVALID' })
  record.manifest = source.manifest
  record.entries.push({ path: '../../x', type: 'folder' })
  writeFileSync(path, JSON.stringify(record))
  await expect(openStage(folder)).rejects.toMatchObject({ code: 'PATH_UNSAFE' })
  expect(await stage()).toMatchObject({ checked: 'hashed' })
})

test('wrong bytes from a peer leave nothing behind', async () => {
  rmSync(folder, { recursive: true })
  source.lies.set('data/a.txt', Buffer.from('lies'))
  await expect(stage()).rejects.toMatchObject({ code: 'HASH_MISMATCH' })
  expect(existsSync(folder)).toBe(false)
  expect(readdirSync(join(bench.cache, 'tmp'))).toEqual([])
  source.lies.clear()
  expect(await stage()).toMatchObject({ checked: 'hashed' })
})

test('a release that names an expected output which it does not hold is refused', async () => {
  const broken = makeSource({
    files: {},
    apps: {
      default: {
        command: ['true'],
        outputs: [
          { path: 'o', compare: 'exact', expect: { path: 'expected/o', blake3: '0'.repeat(64) } },
        ],
      },
    },
  })
  await expect(bench.run(broken, { runtime: 'host' })).rejects.toMatchObject({
    code: 'RECORD_INVALID',
  })
})

test('two stagings at once agree on one stage', async () => {
  rmSync(folder, { recursive: true })
  const both = await Promise.all([stage(), stage()])
  expect(both.map(found => found.folder)).toEqual([folder, folder])
  expect(await openStage(folder)).toMatchObject({ checked: 'stat' })
  expect(readdirSync(join(bench.cache, 'tmp'))).toEqual([])
})

test('the same content under another key is one stage, and each run tells its own release', async () => {
  const published = {
    ...source,
    identity: { ...source.identity, key: 'y'.repeat(52), release: 2, tag: 'v2' },
  }
  const { receipt } = await bench.run(published, { runtime: 'host' })
  expect(receipt).toMatchObject({ key: 'y'.repeat(52), release: 2, tag: 'v2' })
  expect((await bench.run(source, { runtime: 'host' })).receipt).toMatchObject({
    key: null,
    release: null,
  })
  expect(readdirSync(join(bench.cache, 'stages'))).toHaveLength(1)
})

test('property: reading the index by prefixes finds what reading all of it finds', async () => {
  const part = fc.constantFrom('a', 'b', 'c')
  const path = fc.array(part, { minLength: 1, maxLength: 3 }).map(parts => parts.join('/'))
  const pattern = fc
    .array(fc.constantFrom('a', 'b', 'c', '*', '**', '?'), { minLength: 1, maxLength: 3 })
    .map(parts => parts.join('/'))
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(path, { maxLength: 12 }),
      fc.array(pattern, { maxLength: 3 }),
      async (paths, include) => {
        // A path below another path would make that one a folder: leaves alone are kept.
        const leaves = paths.filter(one => !paths.some(other => other.startsWith(`${one}/`)))
        const release = makeSource({
          files: Object.fromEntries(leaves.map(leaf => [leaf, leaf])),
          apps: { default: { command: ['x'], inputs: { include, exclude: [] } } },
        })
        const closure = appClosure(release.manifest, 'default')
        const found = await closureEntries(release, closure)
        expect(found.map(entry => entry.path).sort()).toEqual(leaves.filter(closure.isInput).sort())
        expect(closurePrefixes(closure).length).toBeLessThanOrEqual(Math.max(1, include.length))
      },
    ),
  )
})

test('links that leave by way of another: nothing is fetched or written, and a stage with them is not executed', async () => {
  const hostile = makeSource({
    files: { 'run.sh': 'true' },
    links: { 'a/b/p': 'up/../../x', 'a/b/up': '..' },
    apps: { default: { command: ['sh', 'run.sh'] } },
  })
  await expect(bench.run(hostile, { runtime: 'host' })).rejects.toMatchObject({
    code: 'LINK_UNSAFE',
    message: expect.stringContaining('"a/b/p"'),
  })
  expect(hostile.fetched).toEqual([])
  const made = stageFolder(bench.cache, hostile.identity.contentHash, 'default')
  expect(existsSync(made)).toBe(false)

  const path = join(folder, 'stage.json')
  const record = JSON.parse(readFileSync(path, 'utf8'))
  record.entries.push({ path: 'a/b/p', type: 'link', target: 'up/../../x' })
  record.entries.push({ path: 'a/b/up', type: 'link', target: '..' })
  writeFileSync(path, JSON.stringify(record))
  await expect(openStage(folder)).rejects.toMatchObject({ code: 'LINK_UNSAFE' })
})

test('a full disk is told before anything is fetched', async () => {
  const big = {
    ...source,
    identity: { ...source.identity, contentHash: `blake3:${'1'.repeat(64)}` },
  }
  const huge = {
    ...big,
    async *entries() {
      yield { path: 'run.sh', type: 'file' as const, size: 2 ** 50, blake3: '2'.repeat(64) }
      yield* source.entries('expected/o')
    },
  }
  const work = stageRelease(huge, 'default', { cache: bench.cache })
  await expect(
    (async () => {
      for await (const _ of work);
    })(),
  ).rejects.toMatchObject({ code: 'DISK_FULL' })
  expect(source.fetched).toEqual([])
})

test('a stage whose manifest no author may write is not opened', async () => {
  const path = join(folder, 'stage.json')
  const file = JSON.parse(readFileSync(path, 'utf8'))
  file.manifest.apps.default.out = 'o,src=/etc,dst=/repro/h'
  file.contentHash = `blake3:${blake3(canonicalJson(file.manifest))}`
  writeFileSync(path, JSON.stringify(file))
  await expect(openStage(folder)).rejects.toMatchObject({ code: 'RECORD_INVALID' })
})

test('a record that names an image elsewhere is refused', async () => {
  const path = join(folder, 'stage.json')
  const record = JSON.parse(readFileSync(path, 'utf8'))
  const rootfs = { digest: `sha256:${'0'.repeat(64)}`, path: '../../../planted', searchPath: null }
  writeFileSync(path, JSON.stringify({ ...record, rootfs }))
  await expect(openStage(folder)).rejects.toMatchObject({
    code: 'RECORD_INVALID',
    message: expect.stringContaining('names the image at "../../../planted"'),
  })
})

test('whatever the umask, nobody else can write to what is made in the cache', async () => {
  rmSync(bench.cache, { recursive: true })
  const before = process.umask(0)
  try {
    await stage()
  } finally {
    process.umask(before)
  }
  const made = readdirSync(bench.cache, { recursive: true, encoding: 'utf8' })
  expect(made.length).toBeGreaterThan(5)
  for (const name of ['', ...made]) {
    const stats = lstatSync(join(bench.cache, name))
    if (!stats.isSymbolicLink()) expect([name, stats.mode & 0o022]).toEqual([name, 0])
  }
})

test('releases of equal content share a stage, and none of them rewrites it', async () => {
  const before = readFileSync(join(folder, 'stage.json'), 'utf8')
  const { identity } = source
  const other = {
    ...source,
    identity: { ...identity, key: 'y'.repeat(52), release: 7, tag: 'v7' },
  }
  const work = stageRelease(other, 'default', { cache: bench.cache })
  let step = await work.next()
  while (!step.done) step = await work.next()
  expect(step.value.file).toMatchObject({ key: 'y'.repeat(52), release: 7, tag: 'v7' })
  expect(readFileSync(join(folder, 'stage.json'), 'utf8')).toBe(before)
})
