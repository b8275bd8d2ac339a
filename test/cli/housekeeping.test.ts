import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Person, scratch, share } from '../helpers/cli.ts'

const MB = 1_000_000
const big = () => randomBytes(8 * MB)

/** Bytes on disk as `du` counts them. */
function diskOf(...folders: readonly string[]): number {
  const text = execFileSync('du', ['-sc', '--block-size=1', ...folders], { encoding: 'utf8' })
  return Number(text.trimEnd().split('\n').at(-1)!.split('\t')[0])
}

interface Bundle {
  readonly person: Person
  readonly folder: string
  publish(files: Readonly<Record<string, string | Buffer>>, ...flags: string[]): Promise<string>
}

function author(name = 'author'): Bundle {
  const person = new Person(join(scratch(), name))
  const folder = join(person.folder, 'study')
  mkdirSync(folder)
  writeFileSync(join(folder, 'repro.yaml'), 'repro: 1\nname: study\n')
  const publish = async (files: Readonly<Record<string, string | Buffer>>, ...flags: string[]) => {
    for (const [path, bytes] of Object.entries(files)) writeFileSync(join(folder, path), bytes)
    return (await person.json(['publish', folder, ...flags])).result.key as string
  }
  return { person, folder, publish }
}

it('du tells bundles, folders and what could be freed, as du of the system counts', async () => {
  const { person, publish } = author()
  const kept = randomBytes(MB)
  await publish({ 'a.dat': big(), 'kept.dat': kept }, '--tag', 'v1')
  const key = await publish({ 'a.dat': big() })
  const { records, result } = await person.json(['du'])
  expect(records.filter(one => one.action === 'entry')).toMatchObject([{ subject: key }])
  const { data } = records.find(one => one.action === 'entry')!
  expect(data).toMatchObject({
    name: 'study',
    writable: true,
    releases: [
      { release: 1, tag: 'v1', held: 'whole', kept: false },
      { release: 2, held: 'whole', kept: true },
    ],
  })
  const { contentBytes, storedBytes, sharedBytes, reclaimableBytes } = data as Record<
    string,
    number
  >
  expect(contentBytes! - sharedBytes!).toBeLessThanOrEqual(storedBytes!)
  expect(storedBytes).toBeGreaterThan(17 * MB)
  expect(reclaimableBytes).toBeGreaterThanOrEqual(8 * MB)
  expect(reclaimableBytes).toBeLessThan(8.1 * MB)
  const { homeBytes, cacheBytes, folders } = result
  const all = folders.reduce((sum: number, one: { bytes: number }) => sum + one.bytes, 0)
  expect(all).toBe(homeBytes + cacheBytes)
  expect(Math.abs(all / diskOf(person.home, person.cache) - 1)).toBeLessThan(0.03)
}, 60_000)

it('what is in place counts as that, for du and prune, and not as stored', async () => {
  const { person, folder, publish } = author()
  await publish({ 'a.dat': big() }, '--in-place')
  const aside = join(person.folder, 'a.dat')
  renameSync(join(folder, 'a.dat'), aside)
  const key = await publish({ 'b.dat': big() }, '--in-place')
  const usage = async () =>
    (await person.json(['du'])).records[0]!['data'] as Readonly<Record<string, number>>
  const both = await usage()
  expect(both).toMatchObject({ inPlaceBytes: 16 * MB, reclaimableBytes: expect.any(Number) })
  expect(both['storedBytes']).toBeLessThan(0.2 * MB)
  expect(both['reclaimableBytes']).toBeLessThan(0.1 * MB)
  expect((await person.repro('du')).stdout).toMatch(/in place +16\.0 MB/)

  const dry = (await person.json(['prune', '--dry-run'])).result
  expect(dry.bundles).toMatchObject([{ key, releases: [1], inPlaceBytes: 8 * MB }])
  expect(dry.clearedBytes).toBeLessThan(0.1 * MB)
  // They are served from here: as any others they are lost when nobody else has them.
  expect((await person.json(['prune'], 2)).result.message).toMatch(/8\.\d MB.*lost for ever/)
  const dropped = await person.repro('prune', '--yes')
  expect(dropped.stdout).toMatch(/dropped +study +1 .*8\.0 MB in place/)
  expect(statSync(aside).size).toBe(8 * MB)
  expect(await usage()).toMatchObject({ inPlaceBytes: 8 * MB })
  expect((await person.json(['verify', 'study@2'])).result).toMatchObject({ changed: [] })
}, 120_000)

it('prune frees the disk of old releases, keeps pins, and what it dropped can be published again', async () => {
  const { person, publish } = author()
  const first = big()
  const second = big()
  await publish({ 'a.dat': first })
  await publish({ 'a.dat': second })
  const key = await publish({ 'a.dat': big() })
  const full = diskOf(person.home)

  await person.json(['pin', 'add', 'study@2'])
  expect((await person.json(['pin', 'ls'])).records[0]).toMatchObject({ data: { key, release: 2 } })
  const dry = await person.json(['prune', '--dry-run'])
  expect(dry.records[0]).toMatchObject({ action: 'entry', subject: key, data: { releases: [1] } })
  expect(diskOf(person.home)).toBeGreaterThan(full - MB)

  const refused = await person.json(['prune'], 2)
  expect(refused.result).toMatchObject({ code: 'USAGE' })
  expect(refused.result.message).toMatch(/lost for ever/)
  const pruned = await person.json(['prune', '--yes'])
  expect(pruned.result.freedBytes).toBeGreaterThan(7.5 * MB)
  expect(full - diskOf(person.home)).toBeGreaterThan(7.5 * MB)
  expect((await person.json(['verify', 'study@2'])).result).toMatchObject({
    changed: [],
    missing: [],
  })
  expect((await person.json(['verify', 'study@1'], 3)).result.missing).toContain('a.dat')
  expect((await person.repro('log', 'study')).stdout).toMatch(/release 1/)
  expect((await person.json(['prune', '--yes'])).result.bundles).toEqual([])

  // What was given up is not taken for stored: it is stored again, and a reader gets it.
  await publish({ 'a.dat': first })
  const { peer } = await share(person)
  const reader = new Person(join(scratch(), 'reader'), { env: { REPRO_PEERS: peer } })
  await reader.json(['get', `${key}@4`, 'copy'])
  expect(readFileSync(join(reader.folder, 'copy/a.dat')).equals(first)).toBe(true)
}, 120_000)

it('prune drops an own release without asking when a peer has it, and get brings it back', async () => {
  const { person, publish } = author()
  const first = big()
  const key = await publish({ 'a.dat': first })
  const serving = await share(person)
  const mirror = new Person(join(scratch(), 'mirror'), { env: { REPRO_PEERS: serving.peer } })
  await mirror.json(['get', `${key}@1`, 'copy'])
  await serving.stop()
  await publish({ 'a.dat': big() })
  const { peer } = await share(mirror)
  expect((await person.json(['prune', '--peer', peer])).result.freedBytes).toBeGreaterThan(7.5 * MB)
  await person.json(['get', `${key}@1`, 'back', '--peer', peer])
  expect(readFileSync(join(person.folder, 'back/a.dat')).equals(first)).toBe(true)
}, 120_000)

it('prune --keep-last 0 drops bundles of others but for pins, and empties the cache when asked', async () => {
  const { person, publish } = author()
  const key = await publish({ 'a.dat': big() })
  const { peer } = await share(person)
  const reader = new Person(join(scratch(), 'reader'), { env: { REPRO_PEERS: peer } })
  await reader.json(['get', key, 'copy'])
  const full = diskOf(reader.home)
  await reader.json(['pin', 'add', key])
  expect((await reader.json(['prune', '--keep-last', '0'])).result.bundles).toEqual([])
  await reader.json(['pin', 'rm', key])
  await reader.json(['prune', '--keep-last', '0'])
  expect(full - diskOf(reader.home)).toBeGreaterThan(7.5 * MB)
  await reader.json(['get', key, 'again'])
  mkdirSync(join(reader.cache, 'stages/old'), { recursive: true })
  writeFileSync(join(reader.cache, 'stages/old/file'), randomBytes(MB))
  const { result } = await reader.json(['prune', '--empty-cache'])
  expect(result.cache).toMatchObject([{ what: 'stages/old', inUse: false }])
  expect(existsSync(join(reader.cache, 'stages/old'))).toBe(false)
}, 120_000)

it('rm frees all that a bundle took, and asks before it takes an own one', async () => {
  const { person, publish } = author()
  const key = await publish({ 'a.dat': big() })
  const { peer, stop } = await share(person)
  const reader = new Person(join(scratch(), 'reader'), { env: { REPRO_PEERS: peer } })
  await reader.json(['get', key, 'copy'])
  expect((await reader.json(['rm', key])).result).toMatchObject({ own: false, keyKept: false })
  expect(diskOf(reader.home)).toBeLessThan(2 * MB)
  expect((await reader.json(['rm', key], 4)).result.code).toBe('NOT_FOUND')
  await reader.json(['get', key, 'again'])

  await stop()
  const refused = await person.repro('rm', 'study')
  expect(refused.code).toBe(2)
  expect(refused.stderr).toMatch(/repro key export/)
  await person.json(['rm', 'study', '--yes'])
  expect(diskOf(person.home)).toBeLessThan(2 * MB)
  // Its key is here, its history is not: nothing is written before that is back.
  const publishing = await person.repro('publish', join(person.folder, 'study'), '--wait', '1s')
  expect(publishing.code).not.toBe(0)
  await person.json(['rm', key, '--yes', '--with-key'])
  expect((await person.json(['key', 'export', key, 'k'], 2)).result.code).toBe('KEY_NOT_WRITABLE')
}, 120_000)

it('a key goes to another home, which first fetches the history and then publishes', async () => {
  const { person, folder, publish } = author()
  const key = await publish({ 'a.txt': 'one' })
  await publish({ 'a.txt': 'two' })
  await person.json(['key', 'export', 'study', 'study.key'])
  const file = join(person.folder, 'study.key')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(readFileSync(file, 'utf8')).toMatch(/fork/)
  expect((await person.json(['key', 'export', 'study', 'study.key'], 2)).result.code).toBe('USAGE')

  const { peer, stop } = await share(person)
  const other = new Person(join(scratch(), 'other'))
  await other.json(['key', 'import', file])
  expect((await other.json(['key', 'import', file])).result).toEqual({ key, imported: false })
  writeFileSync(join(folder, 'a.txt'), 'three')
  const alone = await other.repro('publish', folder, '--wait', '1s')
  expect(alone.code).not.toBe(0)
  expect(alone.stderr).toMatch(/peer/)
  const done = await other.json(['publish', folder, '--peer', peer])
  expect(done.result).toMatchObject({ key, release: 3, published: true })
  await stop()
  expect((await other.json(['log', key])).result).toMatchObject({ releases: 3 })
}, 120_000)

it('a sealed key file opens with its passphrase alone, and a damaged one says so', async () => {
  const { person, publish } = author()
  await publish({ 'a.txt': 'one' })
  writeFileSync(join(person.folder, 'words'), 'correct horse\n')
  writeFileSync(join(person.folder, 'wrong'), 'battery staple\n')
  await person.json(['key', 'export', 'study', 's.key', '--passphrase-file', 'words'])
  const text = readFileSync(join(person.folder, 's.key'), 'utf8')
  expect(text).not.toMatch(/^secret:/m)
  const other = new Person(join(scratch(), 'other'))
  for (const name of ['s.key', 'words', 'wrong'])
    writeFileSync(join(other.folder, name), readFileSync(join(person.folder, name)))
  expect((await other.json(['key', 'import', 's.key'], 2)).result.code).toBe('USAGE')
  const wrong = await other.json(['key', 'import', 's.key', '--passphrase-file', 'wrong'], 2)
  expect(wrong.result).toMatchObject({ code: 'KEY_INVALID' })
  const damaged = text.replace(/^sealed: ./m, line =>
    line.endsWith('0') ? 'sealed: 1' : 'sealed: 0',
  )
  writeFileSync(join(other.folder, 'bad.key'), damaged)
  expect((await other.json(['key', 'import', 'bad.key'], 2)).result.message).toMatch(/checksum/)
  await other.json(['key', 'import', 's.key', '--passphrase-file', 'words'])
}, 60_000)

it('repair says what there is, and makes the block index anew', async () => {
  const { person, publish } = author()
  const key = await publish({ 'a.dat': big() })
  expect((await person.repro('repair')).stdout).toMatch(/verify <ref> --repair/)
  const index = join(person.home, 'blocks', `${key}.idx`)
  const before = readFileSync(index)
  rmSync(index)
  const { result } = await person.json(['repair', 'index', 'study'])
  expect(result).toMatchObject({ key })
  expect(result.blocks).toBeGreaterThan(20)
  // The records that a publish writes last are in it now, too.
  expect(readFileSync(index).subarray(0, before.length).equals(before)).toBe(true)
}, 60_000)

it('verify --repair ends with 0 when all is right again, with 5 when nothing could be done', async () => {
  const { person, publish } = author()
  const bytes = big()
  const key = await publish({ 'a.dat': bytes })
  const { peer } = await share(person)
  const reader = new Person(join(scratch(), 'reader'))
  await reader.json(['get', key, 'copy', '--peer', peer])
  const file = join(reader.home, 'store/blocks/1.blk')
  const content = readFileSync(file)
  const at = content.indexOf(bytes.subarray(3 * MB, 3 * MB + 64))
  content[at] = content[at]! ^ 1
  writeFileSync(file, content)
  expect((await reader.repro('verify', key)).code).toBe(5)
  const alone = await reader.repro('verify', key, '--repair')
  expect(alone.code).toBe(5)
  expect(alone.stdout).toMatch(/not repaired {2}a\.dat/)
  const repaired = await reader.repro('verify', key, '--repair', '--peer', peer)
  expect(repaired.stdout).toMatch(/repaired {2}a\.dat {2}\(1 block\)/)
  expect(repaired.code).toBe(0)
  expect((await reader.repro('verify', key)).code).toBe(0)
}, 60_000)
