import { link, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileEntry, WorkRecord } from '../../../schemas/index.ts'
import { listOwnBundles, noteMustSync } from '../../archive/own-bundles.ts'
import { listSeen } from '../../archive/seen.ts'
import { fail, ReproError } from '../../core/errors.ts'
import type { Home } from '../../core/home.ts'
import type { Settings } from '../../core/settings.ts'
import { count } from '../../core/text.ts'
import { openSeed } from '../../system/seed.ts'
import { Housekeeper } from '../housekeeper.ts'
import { readPins } from '../pins.ts'
import { finishSwap, newStoreFolder, swapStores } from '../store-swap.ts'
import { streamOf } from '../stream-of.ts'
import { withHome } from './open-source.ts'

export interface RepairedStore {
  /** Bundles that are in the new store. */
  readonly keys: readonly string[]
  /** The damaged store, to be removed when all is well. */
  readonly aside: string
}

/** What must be had of a bundle: these releases, or all of them. */
interface Needed {
  readonly key: string
  readonly releases: 'all' | readonly (number | undefined)[]
}

/**
 * Makes the store of a home anew from peers, for one whose database is damaged: of own bundles every release, of others
 * the newest and the pinned. Only when all of that is here does the new store take the place of the old one, which is put
 * aside. Killed at any time, the same call goes on. Throws NO_PEER with what nobody has (nothing is changed then), STORE_BUSY.
 */
export async function* repairStore(
  settings: Settings,
  { signal }: { readonly signal?: AbortSignal } = {},
): AsyncGenerator<WorkRecord, RepairedStore> {
  const { home } = settings
  const work = newStoreFolder(home)
  const swapped = await finishSwap(home)
  await assertFree(settings)
  const own = await listOwnBundles(home)
  const pins = await readPins(home)
  const needed = [...new Set([...own, ...(await listSeen(home))])].map((key): Needed => {
    const pinned = pins.filter(pin => pin.key === key).map(pin => pin.release)
    return { key, releases: own.includes(key) ? 'all' : [undefined, ...pinned] }
  })
  if (swapped !== null) return { keys: needed.map(one => one.key), aside: swapped }
  await openSeed(home)
  await mkdir(work, { recursive: true, mode: 0o700 })
  await link(join(home, 'seed'), join(work, 'seed')).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const lost = new Map<string, string>()
  yield* withHome({ ...settings, home: work }, async function* (fresh) {
    for (const one of needed) {
      try {
        yield* bring(fresh, one, signal)
        yield { action: 'entry', subject: one.key, message: `fetched ${one.key}` }
      } catch (error) {
        if (signal?.aborted || !(error instanceof ReproError) || error.code === 'DISK_FULL')
          throw error
        lost.set(one.key, error.message)
      }
    }
  })
  if (lost.size > 0)
    fail(
      'NO_PEER',
      `${count('bundle', lost.size)} cannot be had from peers: the store is left as it is`,
      {
        hints: [
          'ask for repro share where copies are, and repeat the command: what was fetched is kept',
          ...[...lost.keys()].slice(0, 3).map(key => `to do without it: repro rm ${key}`),
        ],
        data: Object.fromEntries(lost),
      },
    )
  await assertFree(settings)
  for (const key of own) await noteMustSync(home, key, true)
  return { keys: needed.map(one => one.key), aside: await swapStores(home) }
}

/** Fetches all that is needed of a bundle into the fresh home. */
async function* bring(
  fresh: Home,
  { key, releases }: Needed,
  signal: AbortSignal | undefined,
): AsyncGenerator<WorkRecord> {
  const how = { network: 'newest', history: 'cheap', ...(signal ? { signal } : {}) } as const
  const known = await fresh.log({ kind: 'key', key }, how)
  const wanted = releases === 'all' ? known.map(one => one.release) : releases
  for (const release of wanted) {
    const ref = { kind: 'key', key, ...(release === undefined ? {} : { release }) } as const
    const opened = yield* streamOf(emit => fresh.open(ref, { ...how, onRecord: emit }))
    try {
      const files: FileEntry[] = []
      for await (const entry of opened.entries()) if (entry.type === 'file') files.push(entry)
      yield* opened.fetch(files, signal)
      if ((await opened.held(files)) < files.length)
        fail('NO_PEER', `not all files of release ${opened.record.release} are with its peers`)
    } finally {
      await opened.close()
    }
  }
}

/** Nobody may have the old store open. One that is too damaged to be opened is nobody's. */
async function assertFree(settings: Settings): Promise<void> {
  try {
    await (await Housekeeper.open(settings)).close()
  } catch (error) {
    if (!(error instanceof ReproError) || error.code === 'STORE_BUSY') throw error
  }
}
