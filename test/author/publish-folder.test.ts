import { appendFileSync, chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { ReleaseRecord } from '../../schemas/index.ts'
import { readBundleFile } from '../../src/author/bundle-file.ts'
import { formatCitation } from '../../src/author/citation.ts'
import { publishFolder } from '../../src/author/publish-folder.ts'
import { fail } from '../../src/core/errors.ts'
import type { Home, IngestedFile, StartPublishOptions } from '../../src/core/home.ts'
import type { PreparedBundle } from '../../src/core/prepared-bundle.ts'
import { blake3 } from '../../src/system/blake3.ts'
import { hashFile } from '../../src/system/hash-file.ts'
import { scratch } from '../helpers/cli.ts'
import { type Files, finish, folderOf, refusalOf } from './folder.ts'

const KEY = 'y'.repeat(52)
const OTHER = 'b'.repeat(52)

interface FakeHome extends Home {
  readonly asked: StartPublishOptions[]
  /** Paths of the files that were read and stored. */
  readonly ingested: string[]
  /** What was published. */
  readonly bundles: PreparedBundle[]
}

/** A home that notes what it is asked and stores nothing. */
function homeOf(writable: readonly string[]): FakeHome {
  const asked: StartPublishOptions[] = []
  const ingested: string[] = []
  const bundles: PreparedBundle[] = []
  const no = () => fail('INTERNAL', 'not asked for here')
  return {
    asked,
    ingested,
    bundles,
    resolve: no,
    open: no,
    log: no,
    share: no,
    publish: no,
    close: async () => undefined,
    list: async () => writable.map(key => ({ key, name: null, writable: true, releases: 1 })),
    async startPublish(options) {
      asked.push(options)
      if (options.key === null) await options.onKey?.(KEY)
      return {
        key: options.key ?? KEY,
        async *ingest(files) {
          const done: IngestedFile[] = []
          for (const { path, absolute } of files) {
            ingested.push(path)
            done.push(
              await hashFile(absolute).then(
                hashed => ({ path, ...hashed }),
                (error: unknown) => ({ path, error }),
              ),
            )
            yield { action: 'progress', subject: 'store', files: done.length }
          }
          return done
        },
        async *publish(bundle) {
          bundles.push(bundle)
          yield { action: 'release', status: 'ok' }
          const record: ReleaseRecord = {
            format: 0,
            key: options.key ?? KEY,
            release: options.key === null ? 1 : 2,
            ...(options.tag === undefined ? {} : { tag: options.tag }),
            date: '2026-11-21T12:00:00.000Z',
            driveVersion: 5,
            contentHash: bundle.identity.contentHash,
            files: bundle.manifest.index.files,
            bytes: bundle.manifest.index.bytes,
            coreManifest: '00',
            signature: '0'.repeat(128),
          }
          return { record, published: true, storedFiles: 1, storedBytes: 1 }
        },
        close: async () => undefined,
      }
    },
  }
}

const YAML = 'repro: 1\nname: study\ntitle: A study\nauthors: [{name: Ada Example}]\n'
const options = () => ({ settings: { cache: join(scratch(), 'cache') } })

describe('publishFolder', () => {
  it('makes a bundle, notes its key, and publishes there again', async () => {
    const folder = folderOf({ 'repro.yaml': YAML })
    const home = homeOf([KEY])
    const { result } = await finish(publishFolder(home, folder, { ...options(), tag: 'v1' }))
    expect(home.asked).toMatchObject([{ key: null, tag: 'v1' }])
    const { contentHash } = result.record
    expect(result.citation).toBe(
      `Example, A. (2026). A study. Release 1 (v1). repro://${KEY}/1?hash=${contentHash}`,
    )
    expect(await readBundleFile(folder)).toEqual({ format: 0, key: KEY, release: 1, contentHash })
    await finish(publishFolder(home, folder, options()))
    expect(home.asked[1]?.key).toBe(KEY)
    expect(await readBundleFile(folder)).toMatchObject({ release: 2, contentHash })
  })

  it('refuses a key this home cannot write, before anything else, and --new makes another', async () => {
    const folder = folderOf({ 'repro.yaml': YAML })
    await finish(publishFolder(homeOf([]), folder, options()))
    const home = homeOf([OTHER])
    const error = await refusalOf(publishFolder(home, folder, options()))
    expect(error.code).toBe('KEY_NOT_WRITABLE')
    expect(error.message).toContain(KEY)
    expect(error.hints.join('\n')).toContain('--new')
    expect(home.asked).toEqual([])
    await finish(publishFolder(home, folder, { ...options(), newBundle: true }))
    expect(home.asked).toMatchObject([{ key: null }])
  })

  it('refuses a bad tag, and one that an older release has, before anything is looked at', async () => {
    const folder = folderOf({ 'repro.yaml': YAML })
    const home = homeOf([KEY])
    await finish(publishFolder(home, folder, options()))
    const record = (release: number, tag: string) =>
      ({ release, record: { tag } as ReleaseRecord, fault: null }) as const
    home.log = async () => [record(1, 'v1'), record(2, 'v2')]
    writeFileSync(join(folder, '.env'), 'A=1\n')
    const codeOf = async (tag: string) =>
      (await refusalOf(publishFolder(home, folder, { ...options(), tag }))).code
    expect(await codeOf('1x')).toBe('USAGE')
    expect(await codeOf('v1')).toBe('TAG_TAKEN')
    // The newest may be published again as it is: what it holds has to be known first.
    expect(await codeOf('v2')).toBe('SECRET_FOUND')
    expect(home.asked).toHaveLength(1)
  })

  it('publishes nothing of a folder that is refused', async () => {
    const folder = folderOf({ 'repro.yaml': YAML, '.env': 'A=1\n' })
    const home = homeOf([])
    expect((await refusalOf(publishFolder(home, folder, options()))).code).toBe('SECRET_FOUND')
    expect(home.asked).toEqual([])
    expect(await readBundleFile(folder)).toBeNull()
  })

  it('reads each file once, and stores what it reads', async () => {
    const folder = folderOf({ 'repro.yaml': YAML, 'a.txt': 'a', 'b/c.txt': 'c' })
    const home = homeOf([])
    await finish(publishFolder(home, folder, { ...options(), inPlace: true }))
    expect(home.ingested).toEqual(['a.txt', 'b/c.txt', 'repro.yaml'])
    expect(home.asked).toMatchObject([{ key: null, inPlace: true }])
    const [bundle] = home.bundles
    const entry = bundle?.all[0]
    if (entry?.type !== 'file') throw new Error('there is no file')
    expect(bundle?.source(entry)).toMatchObject({ path: 'a.txt', size: 1 })
  })

  it('makes no key and reads nothing for what is refused without hashes', async () => {
    const apps = (outputs: string) => `apps: {a: {command: [x], outputs: [{${outputs}}]}}\n`
    const recorded = {
      format: 0,
      apps: {
        a: {
          image: `sha256:${'0'.repeat(64)}`,
          runtime: 'host',
          recordedAt: '2026-11-21T12:00:00.000Z',
          params: {},
          outputs: { o: { file: 'expected/a/o', blake3: blake3('o'), size: 1 } },
        },
      },
    }
    const refused = async (files: Files) => {
      const home = homeOf([])
      const folder = folderOf(files)
      const { code } = await refusalOf(publishFolder(home, folder, options()))
      expect(home.asked).toEqual([])
      expect(home.ingested).toEqual([])
      expect(await readBundleFile(folder)).toBeNull()
      return code
    }
    const missing = YAML + apps('path: o, compare: exact, expect: nowhere.txt')
    expect(await refused({ 'repro.yaml': missing })).toBe('MANIFEST_INVALID')
    const stale = {
      'repro.yaml': YAML + apps('path: o, compare: exact'),
      'expected/a/o': 'o',
      '.repro/recorded.json': JSON.stringify(recorded),
    }
    expect(await refused(stale)).toBe('EXPECTATION_STALE')
    expect(await refused({ 'repro.yaml': YAML, 'back\\slash': 'x' })).toBe('PATH_UNSAFE')
  })

  it('publishes nothing when a file changes under the hash, and all of it the next time', async () => {
    const folder = folderOf({ 'repro.yaml': YAML, 'a.txt': 'a', 'b.txt': 'b' })
    const home = homeOf([KEY])
    const start = home.startPublish.bind(home)
    home.startPublish = async opts => {
      const session = await start(opts)
      return {
        ...session,
        async *ingest(files, signal) {
          const done = yield* session.ingest(files, signal)
          appendFileSync(join(folder, 'a.txt'), 'more')
          return done
        },
      }
    }
    const error = await refusalOf(publishFolder(home, folder, options()))
    expect(error.code).toBe('SOURCE_CHANGED')
    expect(error.faults).toMatchObject([{ file: 'a.txt' }])
    expect(home.bundles).toEqual([])
    home.startPublish = start
    await finish(publishFolder(home, folder, options()))
    expect(home.bundles[0]?.all[0]).toMatchObject({ blake3: blake3('amore') })
  })

  it.each([
    ['no JSON', '{'],
    ['another file', '{"key": 5}'],
    ['a huge file', ' '.repeat(2 << 20)],
  ])('refuses a .repro/bundle.json that is %s', async (_, text) => {
    const folder = folderOf({ 'repro.yaml': YAML, '.repro/bundle.json': text })
    const error = await refusalOf(publishFolder(homeOf([]), folder, options()))
    expect(error.code).toBe('CONFIG_INVALID')
  })

  it('tells the key even when it cannot be noted', async () => {
    const folder = folderOf({ 'repro.yaml': YAML })
    mkdirSync(join(folder, '.repro'))
    const home = homeOf([])
    const start = home.startPublish.bind(home)
    home.startPublish = async opts => {
      const session = await start(opts)
      return {
        ...session,
        async *publish(bundle) {
          const result = yield* session.publish(bundle)
          // A file where the folder must be: neither root nor anybody else can write there.
          rmSync(join(folder, '.repro'), { recursive: true })
          writeFileSync(join(folder, '.repro'), '')
          return result
        },
      }
    }
    const error = await refusalOf(publishFolder(home, folder, options()))
    expect(error.code).toBe('WRITE_FAILED')
    expect(error.message).toContain(KEY)
  })

  it('notes the key before anything is stored, and goes on under it after a failure', async () => {
    const folder = folderOf({ 'repro.yaml': YAML })
    const home = homeOf([KEY])
    const start = home.startPublish.bind(home)
    home.startPublish = async opts => ({
      ...(await start(opts)),
      // biome-ignore lint/correctness/useYield: it fails before it has something to say
      async *ingest() {
        return fail('DISK_FULL', 'no space left')
      },
    })
    expect((await refusalOf(publishFolder(home, folder, options()))).code).toBe('DISK_FULL')
    expect(await readBundleFile(folder)).toEqual({ format: 0, key: KEY, release: 0 })
    const error = await refusalOf(publishFolder(homeOf([OTHER]), folder, options()))
    expect(error.code).toBe('KEY_NOT_WRITABLE')
    expect(error.hints.join('\n')).toContain('--new')
    home.startPublish = start
    await finish(publishFolder(home, folder, options()))
    expect(home.asked).toMatchObject([{ key: null }, { key: KEY }])
    expect(await readBundleFile(folder)).toMatchObject({ key: KEY, release: 2 })
  })

  it('publishes nothing when the key cannot be noted', async () => {
    const folder = folderOf({ 'repro.yaml': YAML })
    const home = homeOf([])
    const start = home.startPublish.bind(home)
    home.startPublish = opts => {
      rmSync(join(folder, '.repro'), { recursive: true, force: true })
      writeFileSync(join(folder, '.repro'), '')
      return start(opts)
    }
    const error = await refusalOf(publishFolder(home, folder, options()))
    expect(error.code).toBe('WRITE_FAILED')
    expect(error.message).toContain('nothing was published')
  })

  it('leaves no half-written note', async () => {
    const folder = folderOf({ 'repro.yaml': YAML })
    await finish(publishFolder(homeOf([]), folder, options()))
    const path = join(folder, '.repro/bundle.json')
    chmodSync(path, 0o644)
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ key: KEY })
  })
})

describe('formatCitation', () => {
  const release = { key: KEY, release: 3, date: '2027-01-02T00:00:00Z', contentHash: 'blake3:00' }
  const cite = (names: string[], title?: string) =>
    formatCitation(
      { name: 'n', ...(title ? { title } : {}), authors: names.map(name => ({ name })) },
      release,
    ).replace(/ repro:.*/, '')

  it.each([
    [['Ada King Example'], 'Example, A. K. (2027). T. Release 3.'],
    [['Jan van der Berg', 'Élodie Roux'], 'van der Berg, J., Roux, É. (2027). T. Release 3.'],
    [['Example, Ada'], 'Example, Ada (2027). T. Release 3.'],
    [['ENCODE'], 'ENCODE (2027). T. Release 3.'],
    [['王 小明'], '王 小明 (2027). T. Release 3.'],
    [[], 'T (2027). Release 3.'],
  ])('%j', (names, text) => {
    expect(cite(names, 'T')).toBe(text)
  })

  it('is one line, whatever the title holds', () => {
    expect(cite(['A B'], 'What?\n  Yes')).toBe('B, A. (2027). What? Yes. Release 3.')
    expect(cite([])).toBe('n (2027). Release 3.')
  })
})
