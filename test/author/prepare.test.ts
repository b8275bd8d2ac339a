import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { manifest as manifestSchema } from '../../schemas/index.ts'
import { prepareBundle } from '../../src/author/prepare.ts'
import type { PrepareOptions } from '../../src/author/prepare-options.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { blake3 } from '../../src/system/blake3.ts'
import { scratch } from '../helpers/cli.ts'
import { type Files, finish, folderOf, refusalOf } from './folder.ts'

const BASE = 'repro: 1\nname: study\n'
const options = (more: Partial<PrepareOptions> = {}): PrepareOptions => ({
  settings: { cache: join(scratch(), 'cache') },
  purpose: 'publish',
  ...more,
})
const prepare = async (folder: string, more: Partial<PrepareOptions> = {}) =>
  (await finish(prepareBundle(folder, options(more)))).result
const refused = (folder: string, more: Partial<PrepareOptions> = {}) =>
  refusalOf(prepareBundle(folder, options(more)))
const study = (files: Files = {}) =>
  folderOf({ 'repro.yaml': BASE, 'data/a.txt': 'a\n', 'bin/run.sh': 'echo\n', ...files })

describe('prepareBundle', () => {
  it('lists files, links and empty folders, hashed and sorted', async () => {
    const folder = study({ 'latest.txt': '-> data/a.txt', empty: null, 'é.txt': 'x' })
    const bundle = await prepare(folder)
    expect(bundle.all).toEqual([
      { path: 'bin/run.sh', type: 'file', size: 5, executable: true, blake3: blake3('echo\n') },
      { path: 'data/a.txt', type: 'file', size: 2, blake3: blake3('a\n') },
      { path: 'empty', type: 'folder' },
      { path: 'latest.txt', type: 'link', target: 'data/a.txt' },
      { path: 'repro.yaml', type: 'file', size: BASE.length, blake3: blake3(BASE) },
      { path: 'é.txt', type: 'file', size: 1, blake3: blake3('x') },
    ])
  })

  it('has a canonical manifest, valid for readers, under the content hash', async () => {
    const bundle = await prepare(study())
    expect(manifestSchema.parse(JSON.parse(bundle.manifestText))).toEqual(bundle.manifest)
    expect(canonicalJson(bundle.manifest)).toBe(bundle.manifestText)
    expect(bundle.identity.contentHash).toBe(`blake3:${blake3(bundle.manifestText)}`)
    expect(bundle.manifest.index).toMatchObject({ entries: 3, files: 3 })
    expect(bundle.segments.has(bundle.manifest.index.blake3)).toBe(true)
  })

  it('gives equal content an equal hash, wherever and whenever it lies', async () => {
    const [one, two] = [study(), study()]
    utimesSync(join(two, 'data/a.txt'), 1, 1)
    const first = (await prepare(one)).identity.contentHash
    expect((await prepare(two)).identity.contentHash).toBe(first)
    chmodSync(join(two, 'data/a.txt'), 0o755)
    expect((await prepare(two)).identity.contentHash).not.toBe(first)
  })

  it('reads its files, and entries below a prefix', async () => {
    const bundle = await prepare(study())
    const found: string[] = []
    for await (const entry of bundle.entries('data')) {
      found.push(entry.path)
      if (entry.type !== 'file') continue
      const chunks: Uint8Array[] = []
      for await (const chunk of bundle.read(entry)) chunks.push(chunk)
      expect(Buffer.concat(chunks).toString()).toBe('a\n')
    }
    expect(found).toEqual(['data/a.txt'])
  })

  it('keeps out .git, .repro, what exclude names and every output folder', async () => {
    const yaml = `${BASE}exclude: ['*.tmp', scratch/, /top.txt, 'data/**/cache']\napps:\n  a: {command: [x], out: results}\n  b: {command: [x]}\n`
    const folder = study({
      'repro.yaml': yaml,
      '.git/HEAD': 'x',
      'sub/.git/HEAD': 'x',
      '.repro/bundle.json.old': 'x',
      'deep/x.tmp': 'x',
      'scratch/y': 'x',
      'top.txt': 'x',
      'sub/top.txt': 'x',
      'data/b/c/cache/z': 'x',
      'results/r': 'x',
      'out/r': 'x',
      'sub/out/kept': 'x',
    })
    const { all } = await prepare(folder)
    expect(all.map(entry => entry.path)).toEqual([
      'bin/run.sh',
      'data/a.txt',
      'repro.yaml',
      'sub/out/kept',
      'sub/top.txt',
    ])
  })

  it('resolves apps: defaults, quantities and expectations', async () => {
    const hash = 'ab'.repeat(32)
    const yaml = `${BASE}apps:
  a:
    command: [x]
    out: results/
    outputs:
      - {path: one.txt, compare: text, ignore: '^#'}
      - {path: two.tsv, compare: table, rtol: 0.1, expect: data/a.txt}
      - {path: three, compare: exact, expect: 'blake3:${hash}'}
      - {path: four, compare: exact}
    resources: {memory: 2KiB, time: 1.5min, disk: 7, gpu: 1, mpi: {ranks: 2}}
`
    const folder = study({ 'repro.yaml': yaml, 'expected/a/one.txt': 'one\n' })
    const { manifest } = await prepare(folder)
    expect(manifest.apps['a']).toEqual({
      image: null,
      command: ['x'],
      params: {},
      inputs: { include: ['**'], exclude: ['expected', 'results'] },
      out: 'results',
      outputs: [
        {
          path: 'one.txt',
          compare: 'text',
          ignore: ['^#'],
          expect: { path: 'expected/a/one.txt', blake3: blake3('one\n'), size: 4 },
        },
        {
          path: 'two.tsv',
          compare: 'table',
          rtol: 0.1,
          atol: 0,
          ignore: [],
          expect: { path: 'data/a.txt', blake3: blake3('a\n'), size: 2 },
        },
        { path: 'three', compare: 'exact', expect: { blake3: hash } },
        { path: 'four', compare: 'exact' },
      ],
      resources: {
        memoryBytes: 2048,
        timeMs: 90_000,
        diskBytes: 7,
        gpu: { count: 1 },
        mpi: { ranks: 2, launcher: 'host' },
      },
      network: 'none',
      env: {},
      modules: [],
      refuse: [],
    })
  })

  it('refuses expect and default paths that are not there, at their places', async () => {
    const yaml = `${BASE}apps:
  a:
    command: [x]
    params: {f: {type: file, default: data/b.txt, positional: 1}}
    outputs: [{path: one, compare: exact, expect: data/aa.txt}]
`
    const folder = study({ 'repro.yaml': yaml })
    const error = await refused(folder)
    expect(error.code).toBe('MANIFEST_INVALID')
    expect(error.faults).toMatchObject([
      { line: 6, path: 'apps.a.params.f.default', nearest: 'data/a.txt' },
      { line: 7, path: 'apps.a.outputs[0].expect', nearest: 'data/a.txt' },
    ])
  })

  it('lets a first --record run name expectations that are not there yet', async () => {
    const yaml = `${BASE}apps: {a: {command: [x], outputs: [{path: o, compare: exact, expect: ref/o}]}}\n`
    const bundle = await prepare(study({ 'repro.yaml': yaml }), { purpose: 'run' })
    expect(bundle.manifest.apps['a']?.outputs).toEqual([{ path: 'o', compare: 'exact' }])
  })

  it('stops when asked to', async () => {
    const signal = AbortSignal.abort()
    await expect(prepare(study(), { signal })).rejects.toThrow(/abort/i)
  })
})

/** A special file that needs no program to be made. */
async function socketAt(path: string): Promise<void> {
  const server = createServer()
  onTestFinished(() => void server.close())
  await new Promise<void>(resolve => server.listen(path, resolve))
}

/** Root can read everything: the rest of the test goes on as somebody who cannot. */
function asOrdinaryUser(): void {
  if (process.geteuid?.() !== 0) return
  onTestFinished(() => process.seteuid?.(0))
  process.seteuid?.(65534)
}

describe('what prepareBundle refuses', () => {
  it('a folder without a manifest, and one that is not there', async () => {
    expect((await refused(folderOf({ a: 'x' }))).code).toBe('MANIFEST_MISSING')
    expect((await refused('/nowhere/at/all')).code).toBe('NOT_FOUND')
  })

  it('a manifest of 100 MB, without reading it', async () => {
    const folder = study()
    truncateSync(join(folder, 'repro.yaml'), 100e6)
    const before = process.memoryUsage().rss
    const error = await refused(folder)
    expect(error.code).toBe('MANIFEST_INVALID')
    expect(error.message).toContain('100.0 MB')
    expect(process.memoryUsage().rss - before).toBeLessThan(50e6)
  })

  it('a manifest that is no UTF-8, saying where', async () => {
    const folder = study({ 'repro.yaml': Buffer.from('repro: 1\nname: \xff\n', 'latin1') })
    expect((await refused(folder)).faults).toMatchObject([{ line: 2, column: 7 }])
  })

  it('unsafe names and links, special files and setuid bits, all at once', async () => {
    const folder = study({
      'a\nb': 'x',
      'back\\slash': 'x',
      'rtl\u202eoverride': 'x',
      '.Repro': 'x',
      absolute: '-> /etc/passwd',
      outside: '-> ../../secret',
      'in/way/up': '-> ../..',
      'in/way/chain': '-> up/../x',
    })
    await socketAt(join(folder, 'pipe'))
    chmodSync(join(folder, 'bin/run.sh'), 0o4755)
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/bad`), Buffer.from([0xff])]), 'x')
    const { faults } = await refused(folder)
    expect(faults.map(({ code, file }) => `${code} ${file}`).sort()).toEqual([
      'FILE_UNSUPPORTED bin/run.sh',
      'FILE_UNSUPPORTED pipe',
      'LINK_UNSAFE absolute',
      'LINK_UNSAFE in/way/chain',
      'LINK_UNSAFE outside',
      'PATH_UNSAFE .Repro',
      'PATH_UNSAFE a\nb',
      'PATH_UNSAFE back\\slash',
      'PATH_UNSAFE bad\\xff',
      'PATH_UNSAFE rtl\u202eoverride',
    ])
  })

  it('no unsafe name that exclude keeps out', async () => {
    const folder = study({
      'repro.yaml': `${BASE}exclude: ['junk*', 'out?ide']\n`,
      'junk\\1': 'x',
      outside: '-> ../x',
    })
    await prepare(folder)
  })

  it('files that change while they are hashed', async () => {
    const folder = study({ big: Buffer.alloc(1 << 20) })
    const work = prepareBundle(folder, options())
    for (;;) {
      const step = await work.next()
      if (step.done) throw new Error('nothing was refused')
      if (step.value.action === 'hash' && step.value.status === 'start') break
    }
    appendFileSync(join(folder, 'data/a.txt'), 'more')
    rmSync(join(folder, 'big'))
    const { code, faults } = await refusalOf(work)
    expect(code).toBe('SOURCE_CHANGED')
    expect(faults.map(({ file }) => file)).toEqual(['big', 'data/a.txt'])
  })

  it('a file that changes after it was hashed and before all is done', async () => {
    const folder = study()
    const work = prepareBundle(folder, options())
    for (;;) {
      const step = await work.next()
      if (step.done) throw new Error('nothing was refused')
      if (step.value.action === 'index') break
    }
    appendFileSync(join(folder, 'data/a.txt'), 'more')
    expect((await refusalOf(work)).faults).toMatchObject([
      { code: 'SOURCE_CHANGED', file: 'data/a.txt' },
    ])
  })

  it('files and folders that cannot be read', async () => {
    asOrdinaryUser()
    const folder = study({ 'closed/x': 'x' })
    chmodSync(join(folder, 'data/a.txt'), 0)
    chmodSync(join(folder, 'closed'), 0)
    const { faults } = await refused(folder)
    chmodSync(join(folder, 'closed'), 0o755)
    expect(faults.map(({ code, file }) => `${code} ${file}`)).toEqual([
      'READ_FAILED closed',
      'READ_FAILED data/a.txt',
    ])
  })

  it('secrets, with their lines, unless excluded or allowed by name', async () => {
    const files = {
      '.env': 'A=1\n',
      'keys/server.pem': 'x\n-----BEGIN RSA PRIVATE KEY-----\n',
      'code/x.py': `a = 1\nt = "ghp_${'a1'.repeat(18)}"\n`,
      'ok.pem': '-----BEGIN CERTIFICATE-----\n',
      'ok.fa': `>p\nAKIA${'ACDEFGHIKLMNPQRS'}\n`,
      'env.example': 'x',
    }
    const { code, faults, hints } = await refused(study(files))
    expect(code).toBe('SECRET_FOUND')
    expect(faults).toMatchObject([
      { file: '.env' },
      { file: 'code/x.py', line: 2, column: 6 },
      { file: 'keys/server.pem', line: 2 },
    ])
    expect(faults.map(fault => fault.message).join()).not.toContain('a1a1')
    expect(hints.join('\n')).toContain('allowSecrets')
    const allowed = `${BASE}exclude: [.env]\nallowSecrets: [keys/server.pem, code/x.py]\n`
    await prepare(study({ ...files, 'repro.yaml': allowed }))
    await prepare(study(files), { purpose: 'run' })
  })
})

describe('images', () => {
  const yaml = `${BASE}images: {small: {host: [sh]}}\napps: {a: {image: small, command: [sh, bin/run.sh], outputs: [{path: o, compare: exact}]}}\n`

  it('lie in the bundle as OCI layouts, captured once and kept', async () => {
    const folder = study({ 'repro.yaml': yaml })
    const settings = { cache: join(scratch(), 'cache') }
    const first = await prepare(folder, { settings })
    const image = first.manifest.images['small']
    expect(image?.origin).toMatchObject({ kind: 'host', programs: ['sh'] })
    const paths = first.all.map(entry => entry.path)
    expect(paths).toContain(`.repro/images/small/blobs/sha256/${image?.digest.slice(7)}`)
    expect(paths).toContain('.repro/images/small/oci-layout')
    expect(existsSync(join(folder, '.repro/captures.json'))).toBe(true)
    const { records, result } = await finish(prepareBundle(folder, options({ settings })))
    expect(records).toContainEqual({ action: 'image', status: 'unchanged', subject: 'small' })
    expect(result.identity.contentHash).toBe(first.identity.contentHash)
    const again = await finish(prepareBundle(folder, options({ settings, recapture: true })))
    expect(again.records).not.toContainEqual(expect.objectContaining({ status: 'unchanged' }))
    expect(again.result.identity.contentHash).toBe(first.identity.contentHash)
  })

  it('are refused all at once, at their places in the manifest', async () => {
    const folder = study({
      'repro.yaml': `${BASE}images:\n  a: {source: nowhere.tar}\n  b: {host: [no-such-program-here]}\n`,
    })
    const { faults } = await refused(folder)
    expect(faults).toMatchObject([
      { code: 'IMAGE_SOURCE', file: 'repro.yaml', line: 4 },
      { code: 'PROGRAM_MISSING', file: 'repro.yaml', line: 5 },
    ])
  })

  it('make recorded expectations stale when they change', async () => {
    const folder = study({ 'repro.yaml': yaml, 'expected/a/o': 'result\n' })
    const settings = { cache: join(scratch(), 'cache') }
    const { manifest } = await prepare(folder, { settings })
    const record = (image: string, content = 'result\n') => {
      mkdirSync(join(folder, '.repro'), { recursive: true })
      const outputs = {
        o: { file: 'expected/a/o', blake3: blake3(content), size: content.length },
      }
      const app = {
        image,
        runtime: 'unshare',
        recordedAt: '2026-11-21T00:00:00Z',
        params: {},
        outputs,
      }
      writeFileSync(
        join(folder, '.repro/recorded.json'),
        JSON.stringify({ format: 0, apps: { a: app } }),
      )
    }
    record(manifest.images['small']!.digest)
    await prepare(folder, { settings })
    record(`sha256:${'0'.repeat(64)}`)
    const error = await refused(folder, { settings })
    expect(error.code).toBe('EXPECTATION_STALE')
    expect(error.hints).toEqual(['record them again: repro run . a --record'])
    const { records } = await finish(prepareBundle(folder, options({ settings, purpose: 'run' })))
    expect(records.filter(r => r.action === 'warning').map(r => r.message)).toHaveLength(1)
    record(`sha256:${'0'.repeat(64)}`, 'what the author then replaced\n')
    await prepare(folder, { settings })
  })

  it('are not published a second time as files', async () => {
    const folder = study({
      'repro.yaml': `${BASE}images: {r: {source: image/rootfs.tar}}\n`,
      'image/Dockerfile': 'FROM scratch\n',
      'rootfs/bin/x': 'x',
    })
    execFileSync('tar', [
      '-cf',
      join(folder, 'image/rootfs.tar'),
      '-C',
      join(folder, 'rootfs'),
      '.',
    ])
    const { all, manifest } = await prepare(folder)
    const paths = all.map(entry => entry.path)
    expect(paths).not.toContain('image/rootfs.tar')
    expect(paths).toContain('image/Dockerfile')
    expect(manifest.images['r']?.origin).toMatchObject({ path: 'image/rootfs.tar' })
    expect(readFileSync(join(folder, 'image/rootfs.tar')).length).toBeGreaterThan(0)
  })
})
