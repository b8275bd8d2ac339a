import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openKnown } from '../../src/author/known-files.ts'
import { prepareBundle } from '../../src/author/prepare.ts'
import type { PrepareOptions } from '../../src/author/prepare-options.ts'
import type { PreparedBundle } from '../../src/core/prepared-bundle.ts'
import { blake3 } from '../../src/system/blake3.ts'
import { formatFileState } from '../../src/system/file-state.ts'
import { hashFile } from '../../src/system/hash-file.ts'
import { scratch } from '../helpers/cli.ts'
import { type Files, finish, folderOf, refusalOf } from './folder.ts'

const BASE = 'repro: 1\nname: study\n'
/** A clock that stands so far ahead that what was written just now has old stamps. */
const later =
  (ms = 3_600_000) =>
  () =>
    new Date(Date.now() + ms)

interface Round {
  readonly bundle: PreparedBundle
  /** Paths of files that were read. */
  readonly read: readonly string[]
  readonly messages: readonly string[]
}

/** A folder that is made ready again and again, an hour apart. */
function study(files: Files = {}) {
  const folder = folderOf({ 'repro.yaml': BASE, 'a.txt': 'aaaa\n', 'b.txt': 'bbbb\n', ...files })
  const settings = { cache: join(scratch(), 'cache') }
  let hours = 0
  const round = async (more: Partial<PrepareOptions> = {}): Promise<Round> => {
    const read: string[] = []
    const { records, result } = await finish(
      prepareBundle(folder, {
        settings,
        purpose: 'publish',
        now: later(3_600_000 * ++hours),
        async *ingest(files) {
          yield* []
          read.push(...files.map(file => file.path))
          return await Promise.all(
            files.map(async ({ path, absolute }) => ({ path, ...(await hashFile(absolute)) })),
          )
        },
        ...more,
      }),
    )
    return { bundle: result, read, messages: records.flatMap(({ message }) => message ?? []) }
  }
  return { folder, settings, round, path: (name: string) => join(folder, name) }
}

const hashIn = ({ bundle }: Round, path: string) => {
  const entry = bundle.all.find(one => one.path === path)
  return entry?.type === 'file' ? entry.blake3 : null
}

describe('preparing a folder again', () => {
  it('reads nothing of what is unchanged, and says so', async () => {
    const { round } = study()
    const first = await round()
    expect(first.read).toEqual(['a.txt', 'b.txt', 'repro.yaml'])
    const second = await round()
    expect(second.read).toEqual([])
    expect(second.messages).toContain('hashed no file, 3 unchanged since they were hashed')
    expect(second.bundle.identity).toEqual(first.bundle.identity)
    expect(second.bundle.all).toEqual(first.bundle.all)
  })

  it('reads again what was touched, and finds it unchanged', async () => {
    const { round, path } = study()
    const first = await round()
    utimesSync(path('a.txt'), 5, 5)
    const second = await round()
    expect(second.read).toEqual(['a.txt'])
    expect(second.bundle.identity).toEqual(first.bundle.identity)
    expect((await round()).read).toEqual([])
  })

  it('sees an edit that kept size and mtime', async () => {
    const { round, path } = study()
    await round()
    const { atime, mtime } = statSync(path('a.txt'))
    writeFileSync(path('a.txt'), 'AAAA\n')
    utimesSync(path('a.txt'), atime, mtime)
    const second = await round()
    expect(second.read).toEqual(['a.txt'])
    expect(hashIn(second, 'a.txt')).toBe(blake3('AAAA\n'))
  })

  it('sees a file that took the place of another', async () => {
    const { round, path } = study()
    const { atime, mtime } = statSync(path('a.txt'))
    writeFileSync(join(path('..'), 'other'), 'AAAA\n')
    utimesSync(join(path('..'), 'other'), atime, mtime)
    await round()
    renameSync(join(path('..'), 'other'), path('a.txt'))
    const second = await round()
    expect(second.read).toEqual(['a.txt'])
    expect(hashIn(second, 'a.txt')).toBe(blake3('AAAA\n'))
  })

  it('sees a mode that changed, new files and files that went', async () => {
    const { round, path } = study()
    await round()
    chmodSync(path('a.txt'), 0o755)
    renameSync(path('b.txt'), path('c.txt'))
    const { bundle, read } = await round()
    expect(read).toEqual(['a.txt', 'c.txt'])
    expect(bundle.all.map(entry => entry.path)).toEqual(['a.txt', 'c.txt', 'repro.yaml'])
    expect(bundle.all[0]).toMatchObject({ executable: true })
  })

  it('does not believe stamps that a change right after may have kept', async () => {
    const { round, path } = study()
    writeFileSync(path('a.txt'), 'AAAA\n')
    const { ctimeMs } = statSync(path('a.txt'))
    const after = (ms: number) => ({ now: () => new Date(ctimeMs + ms) })
    expect((await round(after(50))).read).toContain('a.txt')
    expect((await round(after(5000))).read).toContain('a.txt')
    expect((await round(after(5001))).read).toEqual([])
  })

  it('reads again and again what has stamps of the future', async () => {
    const { round, path } = study()
    const future = new Date(Date.now() + 9e9)
    utimesSync(path('a.txt'), future, future)
    for (let i = 0; i < 3; i++) expect((await round()).read).toContain('a.txt')
    expect((await round()).read).toEqual(['a.txt'])
  })

  it('believes nothing while the clock stands before it was written', async () => {
    const { round } = study()
    await round({ now: later(9e9) })
    expect((await round({ now: later(8e9) })).read).toHaveLength(3)
    expect((await round({ now: later(8.5e9) })).read).toEqual([])
  })

  it.each([
    ['damaged', (file: string) => writeFileSync(file, readFileSync(file).reverse())],
    ['readable and writable for others', (file: string) => chmodSync(file, 0o666)],
  ])('believes no cache that is %s', async (_, spoil) => {
    const { round, settings } = study()
    const first = await round()
    const stat = join(settings.cache, 'stat')
    for (const name of readdirSync(stat)) spoil(join(stat, name))
    const second = await round()
    expect(second.read).toHaveLength(3)
    expect(second.bundle.identity).toEqual(first.bundle.identity)
  })

  it('goes on without a cache that cannot be written, and warns', async () => {
    const { round, settings } = study()
    mkdirSync(settings.cache)
    writeFileSync(join(settings.cache, 'stat'), 'in the way')
    const { messages, bundle } = await round()
    expect(messages.join('\n')).toContain('the hashes are not kept')
    expect(bundle.all).toHaveLength(3)
  })

  it('finds with --rehash what kept all its stamps', async () => {
    const { round, folder, settings, path } = study()
    const first = await round()
    // As if the disk had flipped a bit since: the cache has the hash of other bytes under the stamps of these.
    const known = await openKnown(folder, { settings, now: later(5e9) })
    const stats = lstatSync(path('a.txt'), { bigint: true })
    const file = { path: 'a.txt', state: formatFileState(stats), mode: Number(stats.mode) }
    known.note(file, { blake3: 'ab'.repeat(32) })
    await known.save([file])
    expect(hashIn(await round({ now: later(6e9) }), 'a.txt')).toBe('ab'.repeat(32))
    const again = await round({ now: later(7e9), rehash: true })
    expect(again.read).toHaveLength(3)
    expect(again.bundle.identity).toEqual(first.bundle.identity)
    expect(hashIn(await round({ now: later(8e9) }), 'a.txt')).toBe(blake3('aaaa\n'))
  })

  it('looks for secrets in what changed, and again when they are looked for no more', async () => {
    const { round, path, folder, settings } = study()
    await round()
    writeFileSync(path('b.txt'), `token = "ghp_${'a1'.repeat(18)}"\n`)
    const refusal = async () =>
      await refusalOf(prepareBundle(folder, { settings, purpose: 'publish', now: later(9e9) }))
    expect((await refusal()).faults).toMatchObject([{ code: 'SECRET_FOUND', file: 'b.txt' }])
    writeFileSync(path('repro.yaml'), `${BASE}allowSecrets: [b.txt]\n`)
    await round()
    writeFileSync(path('repro.yaml'), BASE)
    expect((await refusal()).faults).toMatchObject([{ code: 'SECRET_FOUND', file: 'b.txt' }])
  })

  it('finds each kind of secret among many files', async () => {
    const secrets = {
      'k.txt': 'x\n-----BEGIN OPENSSH PRIVATE KEY-----\n',
      'p.txt': 'PuTTY-User-Key-File-2: x\n',
      'w.txt': `key AKIA${'Q7'.repeat(8)}\n`,
      'w2.txt': `key ASIA${'Q7'.repeat(8)}\n`,
      'g2.txt': `ghs_${'a1'.repeat(18)}\n`,
      't2.txt': `rk_live_${'a1'.repeat(12)}\n`,
      'o2.txt': `sk-ant-${'a1'.repeat(20)}\n`,
      'o3.txt': `sk-svcacct-${'a1'.repeat(20)}\n`,
      'g.txt': `github_pat_${'a1'.repeat(15)}\n`,
      'l.txt': `glpat-${'a1'.repeat(15)}\n`,
      's.txt': `xoxb-${'1'.repeat(12)}\n`,
      'h.txt': `hf_${'a1'.repeat(18)}\n`,
      'z.txt': `AIza${'a1'.repeat(17)}b\n`,
      'n.txt': `npm_${'a1'.repeat(18)}\n`,
      'y.txt': `pypi-AgEIcHlwaS5vcmc${'a1'.repeat(30)}\n`,
      't.txt': `sk_live_${'a1'.repeat(12)}\n`,
      'o.txt': `sk-proj-${'a1'.repeat(20)}\n`,
    }
    const plain = Object.fromEntries(
      Array.from({ length: 1100 }, (_, i) => [`plain/${i}.txt`, `gene ${i} sk hf_ npm_ glpat\n`]),
    )
    const { folder, settings } = study({ ...secrets, ...plain })
    const { faults } = await refusalOf(prepareBundle(folder, { settings, purpose: 'publish' }))
    expect(faults.map(({ file }) => file)).toEqual(Object.keys(secrets).sort())
  })
})
