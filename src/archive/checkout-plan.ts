import type { CheckoutFile, IndexEntry } from '../../schemas/index.ts'
import { ReproError } from '../core/errors.ts'
import { assertLinksInside } from '../core/link-tree.ts'
import type { ReleaseSource } from '../core/release-source.ts'
import { readIndex } from './content-index.ts'
import { NotesToWrite } from './file-notes.ts'
import { openFolderRelease, readFolderSegment } from './folder-release.ts'
import { safeEntries } from './index-entries.ts'
import type { Compared, LocalFiles, LocalState } from './local-files.ts'

/** What a checkout has to do, made before anything is touched. */
export interface CheckoutPlan {
  readonly write: readonly IndexEntry[]
  readonly remove: readonly string[]
  readonly unchanged: number
  /** Files that are right already, and their states. */
  readonly notes: NotesToWrite
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
  entries: AsyncIterable<IndexEntry>,
  folder: string,
  state: CheckoutFile | null,
  local: LocalFiles,
  options: { readonly filter?: (path: string) => boolean; readonly signal?: AbortSignal },
): Promise<CheckoutPlan> {
  const { filter = () => true, signal } = options
  const again = isAgain(source, state)
  // Each is taken out when its path is met: what is left in the end is not in the release any more.
  const before: Map<string, Ours> = again ? new Map() : await earlierEntries(folder, state)
  // Of a checkout that was cut off, what bears its date is its own even where a crash took the bytes.
  const begunAt = state?.complete === false ? source.identity.date : null
  const isOurs = async (path: string, ours: Ours | undefined) => {
    if (ours === undefined) return false
    if (local.isOurWriting(path, begunAt)) return true
    for (const entry of candidatesOf(ours))
      if ((await local.compareOne(entry, signal)).is === 'equal') return true
    return false
  }
  const write: IndexEntry[] = []
  const remove: string[] = []
  const conflicts: { path: string; what: string }[] = []
  const selected: string[] = []
  const notes = new NotesToWrite()
  const links: IndexEntry[] = []
  let unchanged = 0
  let partial = false
  const settle = async ({ entry, local: found }: Compared) => {
    const ours = again ? { finished: entry, begun: [] } : before.get(entry.path)
    before.delete(entry.path)
    const replaceable = found.is === 'other' && (await isOurs(entry.path, ours))
    if (!isKept(ours, found, replaceable) && !filter(entry.path)) {
      if (found.is !== 'equal') partial = true
      return
    }
    selected.push(entry.path)
    if (found.is === 'equal') {
      unchanged++
      if (entry.type === 'file' && found.state !== undefined)
        notes.add(entry.path, { blake3: entry.blake3, state: found.state })
      return
    }
    write.push(entry)
    if (found.is === 'other' && !replaceable) conflicts.push({ path: entry.path, what: found.what })
  }
  const noting = async function* () {
    for await (const entry of entries) {
      if (entry.type === 'link') links.push(entry)
      yield entry
    }
  }
  const how = { states: true, ...(signal ? { signal } : {}) }
  for await (const batch of local.compare(noting(), how)) for (const one of batch) await settle(one)
  for (const [path, ours] of before) {
    const { finished, begun } = ours
    const last = finished ?? begun[0]!
    if (last.type === 'folder' || local.isBehindLink(path)) continue
    const found = await local.compareOne(last, signal)
    if (found.is === 'missing') continue
    const known = found.is === 'equal' || (await isOurs(path, { finished: null, begun }))
    if (!known && !finished) continue
    remove.push(path)
    if (!known && found.is === 'other')
      conflicts.push({ path, what: `${found.what}, and is not in the release any more` })
  }
  assertLinksInside(links)
  return {
    write,
    remove,
    unchanged,
    partial,
    notes,
    selected: selected.sort(),
    conflicts: conflicts.filter(one => !blockedBy(one, remove)),
  }
}

/** Whether the folder has just this release, whose index then says what an earlier checkout wrote. */
function isAgain({ identity }: ReleaseSource, state: CheckoutFile | null): boolean {
  if (!state?.complete || (state.started ?? []).length > 0) return false
  return state.contentHash === identity.contentHash
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
