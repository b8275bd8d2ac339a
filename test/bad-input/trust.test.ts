import { appendFile, cp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Person, share } from '../helpers/cli.ts'
import { recordIn, type Tamper, tamper } from '../helpers/dishonest-author.ts'
import { startSharer } from '../helpers/homes.ts'
import { authorOf } from './bundles.ts'

/** A published bundle of three releases, and a reader who can reach its author. */
async function published(act?: Tamper) {
  const { author, folder } = await authorOf()
  const releases = []
  for (const n of [1, 2, 3]) {
    await writeFile(join(folder, 'data/notes.txt'), `notes ${n}\n`)
    releases.push((await author.json(['publish', folder, '--tag', `v${n}`])).result)
  }
  const key = releases[0].key as string
  if (act) await tamper(author.home, key, act)
  const { peer, stop } = await share(author)
  const reader = new Person(join(author.folder, 'reader'), { env: { REPRO_PEERS: peer } })
  return { author, folder, key, releases, reader, stop }
}

const runsOf = async (person: Person) => await readdir(join(person.home, 'runs')).catch(() => [])

describe('a reference', () => {
  it('with a wrong hash: exit 5 before anything runs', async () => {
    const { key, releases, reader } = await published()
    const wrong = `repro://${key}/1?hash=blake3:${'0'.repeat(64)}`
    for (const verb of ['run', 'get', 'inspect', 'ls']) {
      const { result } = await reader.json([verb, wrong], 5)
      expect([verb, result.code]).toEqual([verb, 'HASH_MISMATCH'])
    }
    expect(await runsOf(reader)).toEqual([])
    const right = `repro://${key}/1?hash=${releases[0].contentHash}`
    expect((await reader.repro('inspect', right)).code).toBe(0)
    const other = `repro://${key}/2?hash=${releases[0].contentHash}`
    expect((await reader.repro('inspect', other)).code).toBe(5)
  })

  it.each(['a@', 'repro://short/1', 'name@1..2'])('that is none, %s: exit 2', async text => {
    const { author } = await authorOf()
    const { result } = await author.json(['run', text], 2)
    expect(result.code).toBe('REFERENCE_INVALID')
  })

  it('to a release that is not there: exit 4, with those that are', async () => {
    const { key, reader } = await published()
    for (const release of ['9', 'v9']) {
      const { result } = await reader.json(['run', `${key}@${release}`], 4)
      expect(result.code).toBe('NOT_FOUND')
    }
  })

  it('nobody serves: exit 4 within 20 s, with what was tried and what to type', async () => {
    const { author, folder } = await authorOf()
    const { result: release } = await author.json(['publish', folder])
    const reader = new Person(join(author.folder, 'reader'), {
      env: { REPRO_PEERS: '127.0.0.1:9' },
    })
    const begun = performance.now()
    const { result } = await reader.json(['run', release.key], 4)
    expect(performance.now() - begun).toBeLessThan(20_000)
    expect(result.code).toBe('NO_PEER')
    expect(JSON.stringify([result.message, result.hints])).toContain('127.0.0.1:9')
    expect(result.hints.length).toBeGreaterThan(0)
  })
})

describe('rewritten history', () => {
  it('a record that was put a second time, fork still 0: exit 5, nothing runs', async () => {
    const { key, reader } = await published(async (drive, sign) => {
      const { signature: _, ...record } = await recordIn(drive, 1)
      const bytes = sign({ ...record, message: 'better', driveVersion: drive.version })
      await drive.put('/.repro/releases/1.json', bytes)
      expect(drive.core.fork).toBe(0)
    })
    for (const verb of ['run', 'get']) {
      const { result } = await reader.json([verb, `${key}@1`], 5)
      expect([verb, result.code]).toEqual([verb, 'HISTORY_REWRITTEN'])
    }
    expect(await runsOf(reader)).toEqual([])
    expect((await reader.repro('run', `${key}@2`)).code).toBe(0)
    const { stdout } = await reader.repro('log', key)
    expect(stdout).toMatch(/written again/)
  })

  it('a drive that was truncated and written again: exit 5', async () => {
    const { key, reader } = await published(async (drive, sign) => {
      const { signature: _, ...record } = await recordIn(drive, 3)
      await drive.truncate(record.driveVersion)
      const bytes = sign({ ...record, message: 'other', driveVersion: drive.version })
      await drive.put('/.repro/releases/3.json', bytes)
    })
    const { result } = await reader.json(['run', `${key}@3`], 5)
    expect(result.code).toBe('HISTORY_REWRITTEN')
    expect(await runsOf(reader)).toEqual([])
  })

  it('a drive that was truncated after it was read: refused by every verb, shown by log, kept on disk', async () => {
    const { author, key, reader, stop } = await published()
    await reader.json(['get', key, './there'])
    await stop()
    await tamper(author.home, key, async (drive, sign) => {
      const { signature: _, ...record } = await recordIn(drive, 3)
      await drive.truncate((await recordIn(drive, 2)).driveVersion + 1)
      await drive.put('/data/notes.txt', Buffer.from('other\n'))
      const bytes = sign({ ...record, driveVersion: drive.version })
      await drive.put('/.repro/releases/3.json', bytes)
    })
    const { peer } = await share(author)
    const forked = ['--peer', peer]
    const { result } = await reader.json(['get', key, './again', ...forked], 5)
    expect(result.code).toBe('HISTORY_REWRITTEN')
    expect(result.message).toMatch(/truncated and written again \(fork 1\)/)
    expect(result.message).toMatch(/fetched before is kept/)
    for (const args of [
      ['get', `${key}@3`, './again'],
      ['get', `${key}@1`, './again'],
      ['run', key],
      ['run', `${key}@v3`],
      ['ls', key],
      ['ls', `${key}@2`],
      ['inspect', key],
      ['verify', key],
      ['verify', `${key}@3`],
    ]) {
      const { result } = await reader.json(args, 5)
      expect([...args, result.code]).toEqual([...args, 'HISTORY_REWRITTEN'])
    }
    expect(await runsOf(reader)).toEqual([])
    const log = await reader.repro('log', key, '--offline')
    expect(log.code).toBe(5)
    expect(log.stdout.match(/not to be trusted/g)).toHaveLength(3)
    expect((await reader.repro('verify', './there')).code).toBe(0)
  })

  it('the release of an author who wrote from two copies of a home: publish of the second asks first', async () => {
    const { author, folder, key, reader, stop } = await published()
    await reader.json(['get', key, './there'])
    await stop()
    const copy = new Person(join(author.folder, 'copy'), { env: { REPRO_BOOTSTRAP: 'none' } })
    await cp(author.home, copy.home, { recursive: true })
    const { result: refused } = await copy.json(['publish', folder], 1)
    expect(refused.code).toBe('STORE_INVALID')
    await rm(join(copy.home, 'store/CORESTORE'))
    await writeFile(join(folder, 'data/notes.txt'), 'notes 4\n')
    const { result: asked } = await copy.json(['publish', folder], 4)
    expect(asked.code).toBe('SYNC_NEEDED')
    const { peer } = await share(reader)
    const env = { REPRO_PEERS: peer }
    const synced = new Person(join(author.folder, 'copy'), { env })
    expect((await synced.json(['publish', folder])).result).toMatchObject({ key, release: 4 })
  })

  it('a release that this reader saw with other content: exit 5', async () => {
    const { author, key, reader, stop } = await published()
    expect((await reader.repro('run', `${key}@3`)).code).toBe(0)
    await stop()
    await tamper(author.home, key, async (drive, sign) => {
      const { signature: _, ...record } = await recordIn(drive, 3)
      await drive.put('/.repro/releases/3.json', sign({ ...record, driveVersion: drive.version }))
    })
    const { peer } = await share(author)
    const { result } = await reader.json(['get', key, '--peer', peer, './there'], 5)
    expect(result.code).toBe('HISTORY_REWRITTEN')
  })
})

describe('a peer', () => {
  it('that serves other bytes: exit 5, and nothing runs', async () => {
    const { author, folder } = await authorOf()
    await writeFile(join(folder, 'data/big.bin'), Buffer.alloc(300_000, 7))
    const { result: release } = await author.json(['publish', folder])
    const network = {
      bootstrap: 'none' as const,
      peers: [],
      listen: { host: '127.0.0.1', port: 0 },
      waitMs: 8000,
    }
    const settings = {
      home: author.home,
      cache: author.cache,
      network,
      runtimeOrder: [],
      origins: {},
    }
    const liar = await startSharer(settings, true)
    const peer = `127.0.0.1:${liar.listening!.port}`
    const reader = new Person(join(author.folder, 'reader'), { env: { REPRO_PEERS: peer } })
    const { result } = await reader.json(['run', release.key], 5)
    expect(result.code).toBe('PEER_DISHONEST')
    expect(await runsOf(reader)).toEqual([])
  })
})

describe('a store', () => {
  it('that another process has open: exit 1, naming the process', async () => {
    const { author, folder, key } = await published()
    for (const args of [
      ['publish', folder],
      ['share', key],
      ['get', key, './there'],
    ]) {
      const { result } = await author.json(args, 1)
      expect([args[0], result.code]).toEqual([args[0], 'STORE_BUSY'])
      expect(result.message).toMatch(/\b\d+\b/)
    }
    expect((await author.repro('run', folder)).code).toBe(0)
  })
})

describe('a copy on disk', () => {
  it('that was changed: verify exits 5 and names each file', async () => {
    const { key, reader } = await published()
    await reader.json(['get', key, './there'])
    await appendFile(join(reader.folder, 'there/data/notes.txt'), '!')
    await writeFile(join(reader.folder, 'there/data/extra.txt'), 'x')
    const { code, stdout, stderr } = await reader.repro('verify', './there')
    expect(code).toBe(5)
    expect(stdout + stderr).toContain('data/notes.txt')
    expect(stdout + stderr).toContain('data/extra.txt')
  })
})
