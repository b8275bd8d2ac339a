import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { randomBytesOf, Seeded } from '../../bench/lib/seeded.ts'
import { type Person, Person as Somebody, scratch, share } from '../helpers/cli.ts'
import { noSmallDisk, SmallDisk } from './small-disk.ts'
import { damageBlocks, treeOf } from './world.ts'

const MIB = 1 << 20
const DISK_MIB = 192
/** With nothing left the database cannot write, with a little a block file cannot, with more a later step cannot. */
const LEFT = [0, 200_000, 7 * MIB]
const LITTLE = LEFT.slice(0, 2)
const lacking = noSmallDisk()

function folderOf(path: string, seed: string, bytes: number): string {
  const next = randomBytesOf(seed)
  mkdirSync(join(path, 'data'), { recursive: true })
  writeFileSync(join(path, 'repro.yaml'), 'repro: 1\nname: full\nlicense: MIT\n')
  writeFileSync(join(path, 'data/large.bin'), next(bytes))
  for (let i = 0; i < 40; i++) writeFileSync(join(path, `data/${i}.bin`), next(9000))
  return path
}

/** The command ends with 1, says that the disk is full, and what to type. */
async function refusedForSpace(person: Person, args: readonly string[]): Promise<void> {
  const { result } = await person.json(args, 1)
  expect(result.code).toBe('DISK_FULL')
  expect(result.message).toContain('no space left')
  expect(result.hints.join('\n')).toMatch(/free some space/)
}

/** Somebody with a small disk, and a folder of theirs beside it. */
async function author(): Promise<{ disk: SmallDisk; person: Person; source: string }> {
  const place = scratch()
  const disk = await SmallDisk.mount(join(place, 'disk'), DISK_MIB)
  const source = folderOf(join(place, 'analysis'), 'one', 2 * MIB)
  return { disk, person: disk.person('author'), source }
}

test.for(LEFT)(
  'publish on a full disk (%i bytes left) keeps the old release, and ends right with room',
  async (left, { skip }) => {
    if (lacking !== null) skip(lacking)
    const { disk, person, source } = await author()
    const { key } = (await person.json(['publish', source])).result
    folderOf(source, 'two', 12 * MIB)
    disk.fill(left)
    await refusedForSpace(person, ['publish', source])
    disk.free()
    expect((await person.json(['log', key, '--offline'])).result.releases).toBe(1)
    await person.json(['verify', `${key}@1`])
    expect((await person.json(['publish', source])).result.release).toBe(2)
    for (const release of [1, 2]) await person.json(['verify', `${key}@${release}`])
  },
)

test.for(LEFT)(
  'get on a full disk (%i bytes left) ends right with room',
  async (left, { skip }) => {
    if (lacking !== null) skip(lacking)
    const place = scratch()
    const source = folderOf(join(place, 'analysis'), 'one', 12 * MIB)
    const sharer = new Somebody(join(place, 'sharer'))
    const { key } = (await sharer.json(['publish', source])).result
    const { peer } = await share(sharer)
    const disk = await SmallDisk.mount(join(place, 'disk'), DISK_MIB)
    const reader = disk.person('reader')
    const get = ['get', `${key}@1`, join(disk.folder, 'copy'), '--peer', peer]
    disk.fill(left)
    // Not after the wait for peers, which have sent what was asked for: that is longer than this test may take.
    await refusedForSpace(reader, [...get, '--wait', '600s'])
    disk.free()
    await reader.json(get)
    await reader.json(['verify', join(disk.folder, 'copy')])
    expect(treeOf(disk.seen('copy'))).toEqual(treeOf(source))
    await reader.json(['verify', `${key}@1`])
  },
)

test.for(LITTLE)(
  'prune on a full disk (%i bytes left) keeps what it must, and the bundle lives on',
  async (left, { skip }) => {
    if (lacking !== null) skip(lacking)
    const { disk, person, source } = await author()
    const { key } = (await person.json(['publish', source])).result
    folderOf(source, 'two', 12 * MIB)
    await person.json(['publish', source])
    disk.fill(left)
    const prune = ['prune', key, '--keep-last', '1', '--yes']
    await refusedForSpace(person, prune)
    disk.free()
    await person.json(['verify', `${key}@2`])
    await person.json(prune)
    await person.json(['verify', `${key}@2`])
    folderOf(source, 'three', 3 * MIB)
    expect((await person.json(['publish', source])).result.release).toBe(3)
    await person.json(['verify', `${key}@3`])
  },
)

test.for(LITTLE)(
  'a repair on a full disk (%i bytes left) ends right with room',
  async (left, { skip }) => {
    if (lacking !== null) skip(lacking)
    const place = scratch()
    const source = folderOf(join(place, 'analysis'), 'one', 12 * MIB)
    const sharer = new Somebody(join(place, 'sharer'))
    const { key } = (await sharer.json(['publish', source])).result
    const { peer } = await share(sharer)
    const disk = await SmallDisk.mount(join(place, 'disk'), DISK_MIB)
    const reader = disk.person('reader')
    await reader.json(['get', `${key}@1`, join(disk.folder, 'copy'), '--peer', peer])
    damageBlocks(disk.seen('reader/home'), new Seeded('damage'), 12)
    disk.fill(left)
    const repair = ['verify', `${key}@1`, '--repair', '--peer', peer]
    await refusedForSpace(reader, [...repair, '--wait', '2s'])
    disk.free()
    await reader.json(repair)
    await reader.json(['verify', `${key}@1`])
  },
)
