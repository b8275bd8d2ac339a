import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { Person, share } from '../helpers/cli.ts'
import { type Killed, type KillPlan, killAt, traced } from './kill.ts'
import { damageBlocks, type KnownRelease, verifyCopy, World } from './world.ts'

/** What of a seed's run is counted: how many kills came in which phase of which command. */
export type Tally = Map<string, number>

/** The phases in which each command must be killed at least once. */
export const PHASES = {
  publish: ['hash', 'append', 'bee', 'durable', 'record', 'note'],
  // In threads, see place-kills.test.ts: this world is too small for them.
  get: ['fetch', 'rename', 'note'],
  'verify --repair': ['repair'],
  prune: ['clear', 'compact'],
} as const
type Verb = keyof typeof PHASES

const RUN_ON_MS = 40
const TRIES = 3
/** Kills of each command in one seed. */
const KILLS = { publish: 2, get: 1, 'verify --repair': 1, prune: 1 } as const
/** Places in which the disk of the reader loses bytes, each time. */
const DAMAGES = 12

/** How often a command that is left alone enters each phase; taken once, the same for all seeds. */
const entries = new Map<Verb, ReadonlyMap<string, number>>()

export interface SeedOptions {
  readonly seed: number
  readonly tally: Tally
  /** Verifies after each kill what is there, before the command is repeated: slow. */
  readonly thorough: boolean
}

/**
 * One seed: an author publishes release after release, a reader fetches, the author prunes, and each command is killed
 * where the seed says and then repeated. Throws when anything is not as it must be.
 */
export async function runSeed(folder: string, options: SeedOptions): Promise<void> {
  const world = new World(folder, `faults ${options.seed}`)
  const releases = await publishes(world, options)
  sameBeginning(releases, await world.history())
  await world.verify(releases)
  await reads(world, folder, releases, options)
  await prunes(world, releases, options)
}

async function publishes(
  world: World,
  { seed, tally, thorough }: SeedOptions,
): Promise<KnownRelease[]> {
  const args = ['publish', world.source]
  const releases = [await world.publish([])]
  for (let i = 0; i < KILLS.publish; i++) {
    const kill = async () => {
      world.change()
      if (!entries.has('publish')) {
        entries.set('publish', (await traced(world.author, args)).entries)
        releases.push(...(await world.history()).slice(releases.length))
        return null
      }
      const killed = await killAt(world.author, args, plan(world, 'publish', seed, i))
      // Nothing is lost, and what `log` tells is whole.
      const after = await world.history()
      sameBeginning(releases, after)
      if (thorough) await world.verify(after)
      else if (after.length > releases.length) await world.verify(after.slice(-1))
      releases.push(await world.publish(releases))
      return killed
    }
    await untilKilled('publish', kill, tally)
  }
  return releases
}

/** A reader fetches the newest release, now and then over an older one, and mends it when their disk lost bytes. */
async function reads(
  world: World,
  folder: string,
  releases: readonly KnownRelease[],
  options: SeedOptions,
): Promise<void> {
  const { peer, stop } = await share(world.author)
  const reader = new Person(join(folder, 'reader'))
  try {
    await gets(world, reader, peer, releases, options)
    await repairs(world, reader, peer, releases.at(-1)!, options)
  } finally {
    await stop()
  }
}

async function gets(
  world: World,
  reader: Person,
  peer: string,
  releases: readonly KnownRelease[],
  { seed, tally }: SeedOptions,
): Promise<void> {
  const target = join(reader.folder, 'copy')
  const get = (one: KnownRelease) => {
    return ['get', `${world.key}@${one.release}`, target, '--peer', peer]
  }
  const [first, newest] = [releases[0]!, releases.at(-1)!]
  for (let i = 0; i < KILLS.get; i++) {
    const kill = async () => {
      rmSync(reader.folder, { recursive: true, force: true })
      mkdirSync(reader.folder)
      if ((seed + i) % 2 === 1) await reader.json(get(first))
      if (!entries.has('get')) {
        entries.set('get', (await traced(reader, get(newest))).entries)
        return null
      }
      const killed = await killAt(reader, get(newest), plan(world, 'get', seed, i))
      await reader.json(get(newest))
      await verifyCopy(reader, target, world.source)
      return killed
    }
    await untilKilled('get', kill, tally)
  }
}

async function repairs(
  world: World,
  reader: Person,
  peer: string,
  newest: KnownRelease,
  { seed, tally }: SeedOptions,
): Promise<void> {
  const repair = ['verify', `${world.key}@${newest.release}`, '--repair', '--peer', peer]
  for (let i = 0; i < KILLS['verify --repair']; i++) {
    const kill = async () => {
      damageBlocks(reader.home, world.random, DAMAGES)
      if (!entries.has('verify --repair')) {
        entries.set('verify --repair', (await traced(reader, repair)).entries)
        return null
      }
      const killed = await killAt(reader, repair, plan(world, 'verify --repair', seed, i))
      // On a busy machine the peer may stay silent for too long; the answer says so, and the next carries on.
      const first = await reader.repro(...repair, '--json')
      if (first.code === 3 || first.code === 5) {
        tally.set(
          'verify --repair, asked again',
          (tally.get('verify --repair, asked again') ?? 0) + 1,
        )
        await reader.json(repair)
      } else expect(first.code, first.stderr).toBe(0)
      await world.verify([newest], reader)
      return killed
    }
    await untilKilled('verify --repair', kill, tally)
  }
}

/** The newest release stays, whatever comes; the bundle can be published to as before. */
async function prunes(
  world: World,
  known: readonly KnownRelease[],
  { seed, tally, thorough }: SeedOptions,
): Promise<void> {
  const args = ['prune', world.key, '--keep-last', '1', '--yes']
  const releases = [...known]
  const publish = async () => {
    world.change()
    releases.push(await world.publish(releases))
  }
  for (let i = 0; i < KILLS.prune; i++) {
    const kill = async () => {
      if (!entries.has('prune')) {
        entries.set('prune', (await traced(world.author, args)).entries)
        await publish()
        return null
      }
      const killed = await killAt(world.author, args, plan(world, 'prune', seed, i))
      if (thorough) await world.verify(releases.slice(-1))
      await world.author.json(args)
      sameBeginning(releases, await world.history())
      await world.verify(releases.slice(-1))
      await publish()
      await world.verify(releases.slice(-1))
      return killed
    }
    await untilKilled('prune', kill, tally)
  }
}

/** Repeats until a kill came before the command had ended, and counts it. */
async function untilKilled(
  verb: Verb,
  attempt: () => Promise<Killed | null>,
  tally: Tally,
): Promise<void> {
  for (let i = 0; i < TRIES; i++) {
    const killed = await attempt()
    if (!killed?.phase) continue
    const name = `${verb} ${killed.phase}`
    tally.set(name, (tally.get(name) ?? 0) + 1)
    return
  }
}

/** The first seeds kill every phase right at an entry; later ones let the command run on for a moment. */
function plan(world: World, verb: Verb, seed: number, i: number): KillPlan {
  const nth = seed * KILLS[verb] + i
  const phases = PHASES[verb]
  const phase = phases[nth % phases.length]!
  const count = entries.get(verb)!.get(phase) ?? 0
  if (count === 0) throw new Error(`${verb} does not enter the phase ${phase}`)
  const exact = nth < phases.length || world.random.below(2) === 0
  const runOnMs = exact ? 0 : world.random.float() * RUN_ON_MS
  return { phase, n: 1 + world.random.below(count), runOnMs }
}

function sameBeginning(
  before: readonly { contentHash: string }[],
  after: readonly { contentHash: string }[],
): void {
  const lost = before.findIndex((one, i) => after[i]?.contentHash !== one.contentHash)
  if (lost >= 0) throw new Error(`release ${lost + 1} is not what it was`)
  if (after.length > before.length + 1) throw new Error('one publish made two releases')
}
