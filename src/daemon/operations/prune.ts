import { join } from 'node:path'
import type { WorkRecord } from '../../../schemas/index.ts'
import { fail } from '../../core/errors.ts'
import type { Dropped, KeepRule } from '../../core/housekeeping.ts'
import { parseReference } from '../../core/reference.ts'
import type { Settings } from '../../core/settings.ts'
import { count, formatBytes } from '../../core/text.ts'
import { DiskUsage } from '../../system/disk-usage.ts'
import { type CacheItem, pruneCache } from '../cache-cleaning.ts'
import { Housekeeper } from '../housekeeper.ts'
import { pause } from '../peer-search.ts'
import { readPins } from '../pins.ts'

export interface PruneOptions {
  /** How many of the newest releases of each bundle are kept; default 1. An own bundle always keeps its newest. */
  readonly keepLast?: number
  /** Empties the cache, too. */
  readonly emptyCache?: boolean
  /** Says what would be dropped, and does nothing. */
  readonly dryRun?: boolean
  /** Drops releases of own bundles even where no peer is known to have them: they may be lost for ever. */
  readonly yes?: boolean
  readonly signal?: AbortSignal
}

export interface Pruned {
  readonly bundles: readonly Dropped[]
  readonly cache: readonly CacheItem[]
  /** What the blocks that were (or would be) given up hold, and what was removed from the cache. */
  readonly clearedBytes: number
  /** By how much home and cache shrank on disk; 0 with `dryRun`. */
  readonly freedBytes: number
  readonly dryRun: boolean
}

/** How long connected peers are listened to for what they have. */
const PEERS_TELL_MS = 3000

/**
 * Drops releases that are neither among the newest nor pinned from one bundle or from all, and really frees the disk.
 * Yields an `entry` record (Dropped in `data`) for each bundle that loses something. Safe to kill and to repeat.
 * Throws NOT_FOUND, STORE_BUSY, USAGE for an own release that nobody else is known to have, and no `yes`.
 */
export async function* prune(
  settings: Settings,
  ref: string | null,
  options: PruneOptions = {},
): AsyncGenerator<WorkRecord, Pruned> {
  const { keepLast = 1, dryRun = false, signal } = options
  const before = dryRun ? 0 : await measure(settings)
  const bundles: Dropped[] = []
  const housekeeper = await Housekeeper.open(settings)
  let compact = false
  try {
    const keys = await keysOf(housekeeper, ref)
    const pins = await readPins(settings.home)
    const rules = keys.map(({ key, name, writable }) => {
      const pinned = pins.filter(pin => pin.key === key).map(pin => pin.release)
      return { key, name, writable, rule: { last: keepLast, pinned } }
    })
    if (!dryRun && !options.yes)
      for (const { key, writable, rule } of rules)
        if (writable) yield* assertNotLost(housekeeper, key, rule, signal)
    compact = !dryRun
    for (const { key, name, rule } of rules) {
      const dropped = { ...(await housekeeper.keeper.prune(key, rule, dryRun, signal)), name }
      if (dropped.unlisted.length > 0) yield* notSure(dropped)
      if (dropped.bytes + dropped.inPlaceBytes === 0) continue
      bundles.push(dropped)
      yield { action: 'entry', subject: key, data: { ...dropped } }
    }
  } finally {
    if (compact && !signal?.aborted) await housekeeper.closeAndCompact()
    else await housekeeper.close()
  }
  const cache = options.emptyCache ? await pruneCache(settings.cache, dryRun, signal) : []
  const sum = (items: readonly { readonly bytes: number }[]) =>
    items.reduce((total, { bytes }) => total + bytes, 0)
  return {
    bundles,
    cache,
    clearedBytes: sum(bundles) + sum(cache.filter(item => !item.inUse)),
    freedBytes: dryRun ? 0 : Math.max(0, before - (await measure(settings))),
    dryRun,
  }
}

async function keysOf(housekeeper: Housekeeper, ref: string | null) {
  const all = await housekeeper.keeper.store.list()
  if (ref === null) return all
  const reference = parseReference(ref)
  const { key, release } = await housekeeper.resolve(reference)
  if (release !== undefined)
    fail('USAGE', `"${ref}" names a release: prune drops all but the newest of a bundle`, {
      hints: [`repro prune ${key} --keep-last 1`, `repro pin add ${ref} keeps it`],
    })
  await housekeeper.keeper.assertKnown(key)
  return all.filter(one => one.key === key)
}

/** Throws USAGE unless each block that an own bundle would give up is with a connected peer. */
async function* assertNotLost(
  housekeeper: Housekeeper,
  key: string,
  rule: KeepRule,
  signal?: AbortSignal,
): AsyncGenerator<WorkRecord> {
  const { keeper } = housekeeper
  const { releases, bytes, inPlaceBytes } = await keeper.prune(key, rule, true, signal)
  if (bytes + inPlaceBytes === 0) return
  const found = await housekeeper.findPeer(key, signal)
  let lonely = await keeper.onlyHere(key, rule, signal)
  for (let waited = 0; found && lonely > 0 && waited < PEERS_TELL_MS; waited += 200) {
    await pause(200, signal)
    lonely = await keeper.onlyHere(key, rule, signal)
  }
  if (lonely === 0) {
    yield { action: 'note', subject: key, message: `a peer has what is dropped of ${key}` }
    return
  }
  const what = releases.length > 0 ? `${count('release', releases.length)} of ${key}` : key
  fail(
    'USAGE',
    `${what} (${formatBytes(bytes + inPlaceBytes)}) would be dropped, and no peer is known to have all of it: what nobody else has is lost for ever`,
    {
      hints: [
        'let somebody fetch it first, and give their address with --peer',
        `to drop it all the same: repro prune ${key} --yes`,
        ...releases.slice(-1).map(release => `to keep a release: repro pin add ${key}@${release}`),
      ],
      data: { key, releases: [...releases], bytes, inPlaceBytes },
    },
  )
}

function* notSure({ key, unlisted }: Dropped): Generator<WorkRecord> {
  const which = unlisted.length === 1 ? `release ${unlisted[0]}` : `releases ${unlisted.join(', ')}`
  yield {
    action: 'note',
    subject: key,
    message: `nothing of ${key} is dropped: not all files of ${which} are known here, and a release that is kept may need any block`,
    hints: [`fetch it whole, then prune again: repro get ${key}@${unlisted.at(-1)} <dir>`],
  }
}

async function measure({ home, cache }: Settings): Promise<number> {
  const counted = new DiskUsage()
  return (await counted.of(join(home, 'store'))) + (await counted.of(cache))
}
