import type { WorkRecord } from '../../../schemas/index.ts'
import { diffReleases } from '../../archive/diff.ts'
import { canonicalJson } from '../../core/canonical-json.ts'
import type { ReleaseSummary } from '../../core/home.ts'
import { parseReference } from '../../core/reference.ts'
import type { ReleaseIdentity, ReleaseSource } from '../../core/release-source.ts'
import type { Settings } from '../../core/settings.ts'
import { streamOf } from '../stream-of.ts'
import type { LookOptions } from './look.ts'
import { openSources, resolveKey, withHome } from './open-source.ts'

/** Yields an `entry` record for each release, oldest first; the result has them all. */
export async function* log(
  settings: Settings,
  ref: string,
  { offline, signal }: LookOptions = {},
): AsyncGenerator<WorkRecord, readonly ReleaseSummary[]> {
  return yield* withHome(settings, async function* (home) {
    const releases = yield* streamOf(async emit => {
      const key = await resolveKey(home, parseReference(ref))
      return await home.log(key, {
        network: offline ? 'never' : 'newest',
        history: 'all',
        onRecord: emit,
        ...(signal ? { signal } : {}),
      })
    })
    for (const { release, record, fault } of releases)
      yield { action: 'entry', subject: String(release), data: { release, record, fault } }
    return releases
  })
}

export interface Comparison {
  readonly from: ReleaseIdentity
  readonly to: ReleaseIdentity
  readonly added: number
  readonly removed: number
  readonly changed: number
  /** True when the manifest differs in more than its index. */
  readonly manifestChanged: boolean
}

/**
 * Yields an `entry` record for each path that differs between two releases or folders, in order of path: `data` is a
 * `Difference` of archive/diff.ts. Throws what opening a release throws.
 */
export async function* diff(
  settings: Settings,
  from: string,
  to: string,
  { offline, signal }: LookOptions = {},
): AsyncGenerator<WorkRecord, Comparison> {
  const refs = [parseReference(from), parseReference(to)]
  const opened = yield* openSources(settings, refs, {
    network: offline ? 'never' : 'missing',
    ...(signal ? { signal } : {}),
  })
  try {
    const [a, b] = opened.sources
    const totals = { added: 0, removed: 0, changed: 0 }
    for await (const difference of diffReleases(a!, b!)) {
      signal?.throwIfAborted()
      totals[difference.change]++
      yield { action: 'entry', subject: difference.path, data: { ...difference } }
    }
    const manifestChanged = declared(a!) !== declared(b!)
    return { from: a!.identity, to: b!.identity, ...totals, manifestChanged }
  } finally {
    await opened.close()
  }
}

const declared = ({ manifest }: ReleaseSource) => canonicalJson({ ...manifest, index: null })
