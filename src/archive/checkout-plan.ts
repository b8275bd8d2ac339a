import type { CheckoutFile, IndexEntry } from '../../schemas/index.ts'
import { ReproError } from '../core/errors.ts'
import { assertLinksInside } from '../core/link-tree.ts'
import type { ReleaseSource } from '../core/release-source.ts'
import { HashPool } from '../system/hash-pool.ts'
import { parallel } from '../system/parallel.ts'
import { readIndex } from './content-index.ts'
import { openFolderRelease, readFolderSegment } from './folder-release.ts'
import { safeEntries } from './index-entries.ts'
import { compareLocal, type LocalState } from './local-files.ts'

/** What a checkout has to do, made before anything is touched. */
export interface CheckoutPlan {
  readonly write: readonly IndexEntry[]
  readonly remove: readonly string[]
  readonly unchanged: number
  readonly partial: boolean
  /** Every path that will be there in the end. */
  readonly selected: readonly string[]
  readonly conflicts: readonly { readonly path: string; readonly what: string }[]
}

/** What a checkout may have written at one path. */
interface Ours {
  /** The entry of the release that was checked out last. */
  readonly finished: IndexEntry | null
  /** Entries of releases whose checkout was begun and not finished. */
  readonly begun: readonly IndexEntry[]
}

/**
 * Compares a release with what lies in a folder. What an earlier checkout wrote, finished or interrupted, may be
 * replaced and removed; all else is a conflict. Throws LINK_UNSAFE, and what reading the index throws.
 */
export async function planCheckout(
  source: ReleaseSource,
  folder: string,
  state: CheckoutFile | null,
  options: { readonly filter?: (path: string) => boolean; readonly signal?: AbortSignal },
): Promise<CheckoutPlan> {
  const { filter = () => true, signal } = options
  const before = await earlierEntries(folder, state)
  const pool = new HashPool(source.manifest.index.bytes, source.manifest.index.entries)
  const isAny = async (entries: readonly IndexEntry[]) => {
    for (const entry of entries)
      if ((await compareLocal(folder, entry, pool, signal)).is === 'equal') return true
    return false
  }
  const write: IndexEntry[] = []
  const remove: string[] = []
  const conflicts: { path: string; what: string }[] = []
  let unchanged = 0
  let partial = false
  const selected: string[] = []
  const current = new Set<string>()
  const links: IndexEntry[] = []
  try {
    const compared = parallel(source.entries(), pool.width, async entry => {
      const ours = before.get(entry.path)
      const local = await compareLocal(folder, entry, pool, signal)
      const replaceable =
        local.is === 'other' && ours !== undefined && (await isAny(candidatesOf(ours)))
      return { entry, local, replaceable, kept: isKept(ours, local, replaceable) }
    })
    for await (const { entry, local, replaceable, kept } of compared) {
      current.add(entry.path)
      if (entry.type === 'link') links.push(entry)
      if (!kept && !filter(entry.path)) {
        if (local.is !== 'equal') partial = true
        continue
      }
      selected.push(entry.path)
      if (local.is === 'equal') unchanged++
      else {
        write.push(entry)
        if (local.is === 'other' && !replaceable)
          conflicts.push({ path: entry.path, what: local.what })
      }
    }
    for (const [path, ours] of before) {
      if (current.has(path)) continue
      const { finished, begun } = ours
      const last = finished ?? begun[0]!
      if (last.type === 'folder') continue
      const local = await compareLocal(folder, last, pool, signal)
      if (local.is === 'missing') continue
      const known = local.is === 'equal' || (await isAny(begun))
      if (!known && !finished) continue
      remove.push(path)
      if (!known && local.is === 'other')
        conflicts.push({ path, what: `${local.what}, and is not in the release any more` })
    }
  } finally {
    await pool.close()
  }
  assertLinksInside(links)
  return {
    write,
    remove,
    unchanged,
    partial,
    selected: selected.sort(),
    conflicts: conflicts.filter(one => !blockedBy(one, remove)),
  }
}

const candidatesOf = ({ finished, begun }: Ours) => (finished ? [finished, ...begun] : begun)

/** Whether a path is kept up to date without being asked for: an earlier checkout wrote it, and it is there. */
function isKept(ours: Ours | undefined, local: LocalState, replaceable: boolean): boolean {
  if (!ours || local.is === 'missing') return false
  return ours.finished !== null || local.is === 'equal' || replaceable
}

/** A path whose place is taken only by what goes away is no conflict. */
function blockedBy(conflict: { path: string }, remove: readonly string[]): boolean {
  return remove.some(
    path =>
      path !== conflict.path &&
      (conflict.path.startsWith(`${path}/`) || path.startsWith(`${conflict.path}/`)),
  )
}

/** What earlier checkouts wrote here, by path; notes that are missing or damaged give nothing. */
async function earlierEntries(
  folder: string,
  state: CheckoutFile | null,
): Promise<Map<string, Ours>> {
  const entries = new Map<string, Ours>()
  if (!state) return entries
  const finished = await readable(async () => (await openFolderRelease(folder)).entries())
  for (const entry of finished) entries.set(entry.path, { finished: entry, begun: [] })
  for (const root of state.started ?? []) {
    const read = (hash: string) => readFolderSegment(folder, hash)
    for (const entry of await readable(async () => safeEntries(readIndex(root, read)))) {
      const { finished = null, begun = [] } = entries.get(entry.path) ?? {}
      entries.set(entry.path, { finished, begun: [...begun, entry] })
    }
  }
  return entries
}

async function readable(
  open: () => Promise<AsyncIterable<IndexEntry>>,
): Promise<readonly IndexEntry[]> {
  const entries: IndexEntry[] = []
  try {
    for await (const entry of await open()) entries.push(entry)
  } catch (error) {
    if (!(error instanceof ReproError)) throw error
    return []
  }
  return entries
}
