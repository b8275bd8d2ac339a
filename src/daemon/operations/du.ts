import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { WorkRecord } from '../../../schemas/index.ts'
import type { BundleUsage } from '../../core/housekeeping.ts'
import { parseReference } from '../../core/reference.ts'
import type { Settings } from '../../core/settings.ts'
import { DiskUsage } from '../../system/disk-usage.ts'
import { Housekeeper } from '../housekeeper.ts'
import { readPins } from '../pins.ts'

/** A folder of the home or the cache, and what it takes on disk. */
export interface FolderUsage {
  /** `home/store`, `cache/stages`, … */
  readonly what: string
  readonly bytes: number
}

export interface Usage {
  readonly bundles: readonly BundleUsage[]
  /** Every file of home and cache is in one of these, allocated blocks counted as `du` does. */
  readonly folders: readonly FolderUsage[]
  readonly homeBytes: number
  readonly cacheBytes: number
  readonly reclaimableBytes: number
}

/**
 * What bundles, home and cache take. Yields an `entry` record for each bundle (its BundleUsage in `data`). With `ref`
 * only that bundle is looked through. Throws NOT_FOUND, STORE_BUSY.
 */
export async function* du(
  settings: Settings,
  ref: string | null,
  { signal }: { readonly signal?: AbortSignal } = {},
): AsyncGenerator<WorkRecord, Usage> {
  const bundles: BundleUsage[] = []
  const housekeeper = await Housekeeper.open(settings)
  try {
    const all = await housekeeper.keeper.store.list()
    const only = ref === null ? null : (await housekeeper.resolve(parseReference(ref))).key
    if (only !== null) await housekeeper.keeper.assertKnown(only)
    const pins = await readPins(settings.home)
    for (const { key, name } of all) {
      if (only !== null && key !== only) continue
      const pinned = pins.filter(pin => pin.key === key).map(pin => pin.release)
      const usage = await housekeeper.keeper.usage(key, { last: 1, pinned }, signal)
      bundles.push({ ...usage, name })
      yield { action: 'entry', subject: key, data: { ...usage, name } }
    }
  } finally {
    await housekeeper.close()
  }
  const counted = new DiskUsage()
  const home = await foldersOf(settings.home, 'home', counted)
  const cache = await foldersOf(settings.cache, 'cache', counted)
  const sum = (folders: readonly FolderUsage[]) =>
    folders.reduce((total, { bytes }) => total + bytes, 0)
  return {
    bundles,
    folders: [...home, ...cache],
    homeBytes: sum(home),
    cacheBytes: sum(cache),
    reclaimableBytes: bundles.reduce((total, one) => total + one.reclaimableBytes, 0),
  }
}

/** Folders by their names; single files together as `<what>/other`. */
async function foldersOf(root: string, what: string, counted: DiskUsage): Promise<FolderUsage[]> {
  const items = await readdir(root, { withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    },
  )
  const folders: FolderUsage[] = []
  let other = items.length === 0 ? 0 : await counted.entry(root)
  for (const item of items.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (what === 'home' && item.name === 'store') {
      folders.push(...(await foldersOf(join(root, item.name), 'home/store', counted)))
      continue
    }
    const bytes = await counted.of(join(root, item.name))
    if (item.isDirectory()) folders.push({ what: `${what}/${item.name}`, bytes })
    else other += bytes
  }
  return other === 0 ? folders : [...folders, { what: `${what}/other`, bytes: other }]
}
