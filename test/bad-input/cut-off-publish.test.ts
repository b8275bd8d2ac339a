import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { answerWhileStopped, killAt } from '../faults/kill.ts'
import { Person, scratch, share } from '../helpers/cli.ts'
import { authorOf } from './bundles.ts'

const FILES = 48
const FILE_BYTES = 4 << 20
/** Blocks are appended in groups, of so many bytes at least. */
const GROUP_BYTES = 2 << 20
const GROUPS_STORED = 4
const MANIFEST = 'repro: 1\nname: large\nlicense: MIT\n'

/** A first publish that is long enough to be killed. */
async function largeFolder(): Promise<{ author: Person; folder: string }> {
  const names = Array.from({ length: FILES }, (_, i) => `data/${i}.bin`)
  const data = names.map(name => [name, randomBytes(FILE_BYTES)] as const)
  return await authorOf({ 'repro.yaml': MANIFEST, ...Object.fromEntries(data) })
}

/** Publishes, and kills that without mercy when some groups of blocks are stored. */
async function killWhileStoring(author: Person, folder: string): Promise<void> {
  const { phase } = await killAt(author, ['publish', folder], {
    phase: 'append',
    n: GROUPS_STORED + 1,
    runOnMs: 0,
  })
  expect(phase).toBe('append')
}

const noteAt = (folder: string) => join(folder, '.repro/bundle.json')
const noteOf = (folder: string) => JSON.parse(readFileSync(noteAt(folder), 'utf8'))
const keysOf = (home: string) => readdirSync(join(home, 'bundles'))

it('a first publish that is killed again and again goes on under its key', async () => {
  const { author, folder } = await largeFolder()
  await killWhileStoring(author, folder)
  const { key, release } = noteOf(folder)
  expect(release).toBe(0)
  expect((await author.json(['verify', folder], 4)).result.message).toContain('not published yet')
  await killWhileStoring(author, folder)
  const { result } = await author.json(['publish', folder])
  expect(result).toMatchObject({ key, release: 1, published: true })
  const kept = 2 * GROUPS_STORED * GROUP_BYTES
  expect(result.storedBytes).toBeLessThan(FILES * FILE_BYTES - kept + 1024)
  expect(noteOf(folder)).toMatchObject({ key, release: 1, contentHash: result.contentHash })
  expect(keysOf(author.home)).toEqual([`${key}.json`])
  await author.json(['verify', key])
})

it('a publish that is killed when its release is out finds it again', async () => {
  const { author, folder } = await authorOf()
  const { result: release } = await author.json(['publish', folder, '--tag', 'v1'])
  const { key } = release
  const note = JSON.stringify({ format: 0, key, release: 0 })
  await writeFile(noteAt(folder), note)
  // All that is written after the record.
  for (const later of ['seen', 'names.json'])
    await rm(join(author.home, later), { recursive: true })
  const { result } = await author.json(['publish', folder])
  expect(result).toMatchObject({ key, release: 1, tag: 'v1', published: false, storedBytes: 0 })
  expect(noteOf(folder)).toEqual({ format: 0, key, release: 1, contentHash: release.contentHash })
  expect(keysOf(author.home)).toEqual([`${key}.json`])
  await author.json(['log', 'small', '--offline'])
  await share(author, [key])
})

it('Ctrl-C leaves the key to the next publish', async () => {
  const { author, folder } = await largeFolder()
  const { code } = await answerWhileStopped(author, ['publish', folder], 'append:2', child => {
    child.kill('SIGINT')
  })
  expect(code).toBe(130)
  const { key, release } = noteOf(folder)
  expect(release).toBe(0)
  const { result } = await author.json(['publish', folder])
  expect(result).toMatchObject({ key, release: 1 })
  expect(keysOf(author.home)).toEqual([`${key}.json`])
})

it('a folder that was begun in another home is refused there, until --new', async () => {
  const { author, folder } = await authorOf()
  const { result: first } = await author.json(['publish', folder])
  const other = new Person(join(scratch(), 'other'))
  const copy = join(other.folder, 'small')
  await cp(folder, copy, { recursive: true })
  const note = JSON.stringify({ format: 0, key: first.key, release: 0 })
  await writeFile(noteAt(copy), note)
  const { result } = await other.json(['publish', copy], 2)
  expect(result).toMatchObject({ code: 'KEY_NOT_WRITABLE' })
  expect(result.hints.join('\n')).toContain('--new')
  const { result: own } = await other.json(['publish', copy, '--new'])
  expect(own.key).not.toBe(first.key)
  expect(noteOf(copy)).toMatchObject({ key: own.key, release: 1 })
})
