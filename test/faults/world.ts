import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { randomBytesOf, Seeded } from '../../bench/lib/seeded.ts'
import type { Settings } from '../../src/core/settings.ts'
import { log } from '../../src/daemon/operations/history.ts'
import { type VerifyResult, verify } from '../../src/daemon/operations/verify.ts'
import { Person } from '../helpers/cli.ts'

const SMALL_FILES = 60
const LARGE_BYTES = 6 << 20

/** A release as `repro log` tells it. */
export interface KnownRelease {
  readonly release: number
  readonly contentHash: string
}

/** An author with a folder that changes, and what must hold of their bundle at any time. */
export class World {
  readonly author: Person
  readonly source: string
  readonly random: Seeded
  readonly #bytes: (length: number) => Buffer
  #round = 0

  constructor(folder: string, seed: string) {
    this.author = new Person(join(folder, 'author'))
    this.source = join(folder, 'analysis')
    this.random = new Seeded(seed)
    this.#bytes = randomBytesOf(seed)
    mkdirSync(join(this.source, 'data'), { recursive: true })
    writeFileSync(join(this.source, 'repro.yaml'), 'repro: 1\nname: faults\nlicense: MIT\n')
    writeFileSync(join(this.source, 'data/large.bin'), this.#bytes(LARGE_BYTES))
    writeFileSync(join(this.source, 'data/middle.bin'), this.#bytes(400_000))
    for (let i = 0; i < SMALL_FILES; i++) this.#writeSmall(i)
  }

  get key(): string {
    return JSON.parse(readFileSync(join(this.source, '.repro/bundle.json'), 'utf8')).key
  }

  /** An edit of the folder: bytes inserted into the large file, some small files written anew, one added, one removed. */
  change(): void {
    this.#round++
    const large = join(this.source, 'data/large.bin')
    const old = readFileSync(large)
    const at = this.random.below(old.length)
    const end = Math.min(old.length, at + (1 << 20))
    writeFileSync(
      large,
      Buffer.concat([old.subarray(0, at), this.#bytes(1 << 20), old.subarray(end)]),
    )
    for (let i = 0; i < 8; i++) this.#writeSmall(this.random.below(SMALL_FILES))
    writeFileSync(join(this.source, `data/new-${this.#round}.txt`), `round ${this.#round}\n`)
    rmSync(join(this.source, `data/new-${this.#round - 1}.txt`), { force: true })
  }

  /** Publishes; the release must be the one after `before`, whole. */
  async publish(before: readonly KnownRelease[]): Promise<KnownRelease> {
    const { result } = await this.author.json(['publish', this.source])
    if (result.release !== before.length + 1)
      throw new Error(`published release ${result.release} after ${before.length}`)
    return { release: result.release, contentHash: result.contentHash }
  }

  /** The releases of the bundle. Throws when one of them is not to be trusted. */
  async history(): Promise<KnownRelease[]> {
    const releases = await endOf(log(settingsOf(this.author), this.key, { offline: true }))
    return releases.map(({ release, record, fault }) => {
      if (fault !== null || record === null)
        throw new Error(`release ${release} is not to be trusted: ${fault}`)
      return { release, contentHash: record.contentHash }
    })
  }

  /** Every one of these releases is held whole, and has the content it had. */
  async verify(releases: readonly KnownRelease[], person = this.author): Promise<void> {
    for (const { release, contentHash } of releases) {
      const found = await endOf(verify(settingsOf(person), `${this.key}@${release}`))
      if (!isWhole(found) || found.identity.contentHash !== contentHash)
        throw new Error(`release ${release} is ${JSON.stringify(found)}, it was ${contentHash}`)
    }
  }

  #writeSmall(i: number): void {
    const folder = join(this.source, `data/part-${i % 7}`)
    mkdirSync(folder, { recursive: true })
    const path = join(folder, `${i}.bin`)
    writeFileSync(path, this.#bytes(this.random.below(12_000)))
  }
}

/** Flips bytes in the block files of a home, as a dying disk does, `count` times at random places. */
export function damageBlocks(home: string, random: Seeded, count: number): void {
  const folder = join(home, 'store/blocks')
  const files = readdirSync(folder).filter(name => name.endsWith('.blk'))
  if (files.length === 0) throw new Error(`"${folder}" has no block files`)
  for (let i = 0; i < count; i++) {
    const path = join(folder, random.pick(files))
    const bytes = readFileSync(path)
    const at = random.below(bytes.length)
    bytes[at] = bytes[at]! ^ 0xff
    writeFileSync(path, bytes)
  }
}

/** A folder that was fetched is what its release says, and the same as the author's. */
export async function verifyCopy(person: Person, copy: string, source: string): Promise<void> {
  const found = await endOf(verify(settingsOf(person), copy))
  if (!isWhole(found)) throw new Error(`the copy is ${JSON.stringify(found)}`)
  const expected = treeOf(source)
  const here = treeOf(copy)
  const wrong = [...new Set([...expected.keys(), ...here.keys()])].filter(
    path => expected.get(path) !== here.get(path),
  )
  if (wrong.length > 0) throw new Error(`not as published: ${wrong.join(', ')}`)
}

function isWhole({ missing, changed, extra, partial }: VerifyResult): boolean {
  return !partial && [missing, changed, extra].every(paths => paths.length === 0)
}

/** What the commands of somebody work with, to look at their home from here when no command is running. */
function settingsOf(person: Person): Settings {
  return {
    home: person.home,
    cache: person.cache,
    network: { bootstrap: 'none', peers: [], listen: null, waitMs: 1000 },
    runtimeOrder: [],
    origins: {},
  }
}

async function endOf<T>(work: AsyncGenerator<unknown, T>): Promise<T> {
  for (;;) {
    const { done, value } = await work.next()
    if (done) return value
  }
}

/** Path to bytes of all files of a folder, ours beside them left out. */
export function treeOf(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .filter(path => !relative(folder, path).startsWith('.repro'))
    .sort()
  return new Map(files.map(path => [relative(folder, path), readFileSync(path, 'latin1')]))
}
