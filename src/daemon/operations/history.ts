import type { IndexEntry, WorkRecord } from '../../../schemas/index.ts'
import { comparePaths } from '../../core/archive-path.ts'
import { canonicalJson } from '../../core/canonical-json.ts'
import type { ReleaseSummary } from '../../core/home.ts'
import { parseReference } from '../../core/reference.ts'
import type { ReleaseIdentity, ReleaseSource } from '../../core/release-source.ts'
import type { Settings } from '../../core/settings.ts'
import { streamOf } from '../stream-of.ts'
import type { LookOptions } from './look.ts'
import { openSource, resolveKey, withHome } from './open-source.ts'

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

export type Change = 'added' | 'removed' | 'changed'

export interface Difference {
  readonly from: ReleaseIdentity
  readonly to: ReleaseIdentity
  readonly added: number
  readonly removed: number
  readonly changed: number
  /** True when the manifest differs in more than its index. */
  readonly manifestChanged: boolean
}

/**
 * Yields an `entry` record for each path that differs between two releases, in order of path:
 * `data` has `change`, and the lines of the content index `from` and `to`.
 */
export async function* diff(
  settings: Settings,
  from: string,
  to: string,
  options: LookOptions = {},
): AsyncGenerator<WorkRecord, Difference> {
  const { offline, ...rest } = options
  const how = { network: offline ? ('never' as const) : ('missing' as const), ...rest }
  const refs = [parseReference(from), parseReference(to)] as const
  const first = yield* openSource(settings, refs[0], how)
  const [a, closeFirst] = await detach(first, refs[1].kind !== 'folder')
  try {
    const second = yield* openSource(settings, refs[1], how)
    try {
      return yield* compare(a, second.source)
    } finally {
      await second.close()
    }
  } finally {
    await closeFirst()
  }
}

/** One part of two releases that are compared. */
interface Side {
  readonly identity: ReleaseIdentity
  readonly manifest: ReleaseSource['manifest']
  entries(): AsyncIterable<IndexEntry> | Iterable<IndexEntry>
}

/** A store is open once at a time: when the other release needs it too, the first one's index is read at once. */
async function detach(
  opened: { source: ReleaseSource; close(): Promise<void> },
  needed: boolean,
): Promise<[Side, () => Promise<void>]> {
  if (!needed) return [opened.source, () => opened.close()]
  try {
    const entries: IndexEntry[] = []
    for await (const entry of opened.source.entries()) entries.push(entry)
    const { identity, manifest } = opened.source
    return [{ identity, manifest, entries: () => entries }, async () => undefined]
  } finally {
    await opened.close()
  }
}

async function* compare(from: Side, to: Side): AsyncGenerator<WorkRecord, Difference> {
  const totals = { added: 0, removed: 0, changed: 0 }
  for await (const { change, a, b } of merge(from, to)) {
    totals[change]++
    yield {
      action: 'entry',
      subject: (b ?? a)!.path,
      data: { change, ...(a ? { from: a } : {}), ...(b ? { to: b } : {}) },
    }
  }
  const rest = ({ manifest }: Side) => canonicalJson({ ...manifest, index: null })
  return {
    from: from.identity,
    to: to.identity,
    ...totals,
    manifestChanged: rest(from) !== rest(to),
  }
}

async function* merge(
  from: Side,
  to: Side,
): AsyncGenerator<{ change: Change; a?: IndexEntry; b?: IndexEntry }> {
  const left = iterate(from)
  const right = iterate(to)
  let a = await left.next()
  let b = await right.next()
  while (!a.done || !b.done) {
    const order = a.done ? 1 : b.done ? -1 : comparePaths(a.value.path, b.value.path)
    if (order < 0) yield { change: 'removed', a: a.value! }
    else if (order > 0) yield { change: 'added', b: b.value! }
    else if (canonicalJson(a.value) !== canonicalJson(b.value))
      yield { change: 'changed', a: a.value!, b: b.value! }
    if (order <= 0) a = await left.next()
    if (order >= 0) b = await right.next()
  }
}

async function* iterate(side: Side): AsyncGenerator<IndexEntry, undefined> {
  yield* side.entries()
  return undefined
}
