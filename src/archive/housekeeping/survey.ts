import type Hypercore from 'hypercore'
import type Hyperdrive from 'hyperdrive'
import type { ReleaseSummary } from '../../core/home.ts'
import type { BundleUsage, KeepRule, ReleaseUsage } from '../../core/housekeeping.ts'
import { bytesInPlace } from '../block-files/in-place.ts'
import type { HistoryLimits, ReadLimits } from '../bundle.ts'
import type { DriveView } from '../drive-view.ts'
import { storeError } from '../store-errors.ts'
import { BlockSet } from './block-set.ts'
import { bytesOfRuns, heldRuns, runsWithin } from './held-blocks.ts'
import { addReleaseBlocks } from './release-blocks.ts'

/** What looking after a bundle needs of it. */
export interface KeptBundle {
  readonly key: string
  readonly writable: boolean
  readonly drive: Hyperdrive
  view(length: number, limits: ReadLimits): DriveView
  releases(options: HistoryLimits): Promise<ReleaseSummary[]>
}

/** What of a bundle is here, and which blocks of its files must stay. */
export interface Survey {
  readonly usage: Omit<BundleUsage, 'name'>
  /** The core of the files' bytes; null when nothing is known of it here. */
  readonly core: Hypercore | null
  readonly kept: BlockSet
  /** Bytes of blocks in the author's own files that no kept release points at. */
  readonly droppedInPlace: number
  /** Releases to keep whose files are not all known here: every block may be one of theirs, and is kept. */
  readonly unlisted: readonly number[]
}

const HERE = { stallMs: 0 } as const

/** Looks through all releases of a bundle, asking no peer. Throws STORE_INVALID, INTERRUPTED. */
export async function surveyBundle(
  bundle: KeptBundle,
  rule: KeepRule,
  signal?: AbortSignal,
): Promise<Survey> {
  try {
    return await survey(bundle, rule, signal)
  } catch (error) {
    throw storeError(error, bundle.key)
  }
}

async function survey(bundle: KeptBundle, rule: KeepRule, signal?: AbortSignal): Promise<Survey> {
  const { key, writable, drive } = bundle
  const limits = { ...HERE, ...(signal ? { signal } : {}) }
  const here = drive.core.length > 1 && (await drive.core.has(0))
  const core = here ? ((await drive.getBlobs())?.core ?? null) : null
  const kept = new BlockSet(core?.length ?? 0)
  const used = new BlockSet(core?.length ?? 0)
  const releases: ReleaseUsage[] = []
  const known = core === null ? [] : await bundle.releases({ ...limits, history: 'cheap' })
  const keeps = keptReleases(known, rule, writable)
  const unlisted = new Set(rule.pinned.filter(pin => !known.some(one => one.release === pin)))
  for (const { release, record } of known) {
    signal?.throwIfAborted()
    if (record === null || core === null) {
      if (keeps.has(release)) unlisted.add(release)
      releases.push({ release, tag: null, held: 'none', bytes: 0, kept: keeps.has(release) })
      continue
    }
    const view = bundle.view(record.driveVersion, limits)
    try {
      const sets = keeps.has(release) ? [used, kept] : [used]
      const { bytes, whole, listed } = await addReleaseBlocks(view, core, sets, kept)
      if (!listed && keeps.has(release)) unlisted.add(release)
      const held = whole ? 'whole' : bytes > 0 ? 'part' : 'none'
      releases.push({ release, tag: record.tag ?? null, held, bytes, kept: keeps.has(release) })
    } finally {
      await view.close()
    }
  }
  if (core !== null) await addHead(bundle, core, kept, used, limits)
  if (unlisted.size > 0) kept.add(0, kept.length)
  const contentBytes = releases.reduce((sum, one) => sum + one.bytes, 0)
  const fileBytes = core === null ? 0 : await bytesOfRuns(core, heldRuns(core))
  const inPlaceBytes = core === null ? 0 : await bytesInPlace(core, heldRuns(core))
  const dropped = core === null ? 0 : await bytesOfRuns(core, runsWithin(core, kept, false))
  const droppedInPlace =
    core === null || dropped === 0 ? 0 : await bytesInPlace(core, runsWithin(core, kept, false))
  const usedBytes = core === null ? 0 : await bytesOfRuns(core, runsWithin(core, used, true))
  const usage = {
    key,
    writable,
    releases,
    contentBytes,
    storedBytes: fileBytes - inPlaceBytes + (await bytesOfRuns(drive.core, heldRuns(drive.core))),
    inPlaceBytes,
    sharedBytes: Math.max(0, contentBytes - usedBytes),
    reclaimableBytes: dropped - droppedInPlace,
  }
  return { usage, core, kept, droppedInPlace, unlisted: [...unlisted].sort((a, b) => a - b) }
}

/** The records at the head are of all releases, and what an own bundle's head points at is what its next release starts from. */
async function addHead(
  bundle: KeptBundle,
  core: Hypercore,
  kept: BlockSet,
  used: BlockSet,
  limits: ReadLimits,
): Promise<void> {
  const view = bundle.view(bundle.drive.core.length, limits)
  try {
    await addReleaseBlocks(view, core, bundle.writable ? [used, kept] : [used], kept)
  } finally {
    await view.close()
  }
}

function keptReleases(
  known: readonly ReleaseSummary[],
  { last, pinned }: KeepRule,
  writable: boolean,
): Set<number> {
  const count = writable ? Math.max(1, last) : last
  const newest = count === 0 ? [] : known.slice(-count).map(one => one.release)
  return new Set([...newest, ...pinned])
}
