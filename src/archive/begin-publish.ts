import type Hyperdrive from 'hyperdrive'
import type { ReleaseRecord } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import type { StartPublishOptions } from '../core/home.ts'
import { assertTag, tagTaken } from '../core/release-tag.ts'
import { digestsOf } from './block-digests.ts'
import type { BlockFiles } from './block-files/block-files.ts'
import { BlockProof } from './block-proof.ts'
import type { HistoryLimits } from './bundle.ts'
import { ContentStore } from './content-store.ts'
import type { History } from './history.ts'
import type { BundleKeys } from './own-bundles.ts'
import { Patience, type PeerView } from './patience.ts'
import { blocksReleased } from './release-change.ts'

/** What publishing needs of its bundle. */
export interface PublishHost {
  readonly bundle: PeerView & { readonly drive: Hyperdrive }
  readonly keys: BundleKeys
  /** Null where the store keeps all blocks in its database. */
  readonly blockFiles: BlockFiles | null
  /** Makes everything written so far durable. */
  flush(): Promise<void>
  history(limits: HistoryLimits): Promise<History>
  /** Keeps that a release is out, so that rewriting it is noticed. */
  remember(record: ReleaseRecord, name: string): Promise<void>
}

export type SessionOptions = Omit<StartPublishOptions, 'key' | 'onKey'>

/** A publish that has begun: what was there before, and what is stored for it. */
export interface PublishWork {
  readonly host: PublishHost
  readonly options: SessionOptions
  /** How many releases there are. */
  readonly releases: number
  readonly newest: ReleaseRecord | null
  readonly contents: ContentStore
}

/** Looks at what is there. Throws HISTORY_REWRITTEN, and TAG_TAKEN for a tag of a release that is not the newest. */
export async function beginPublish(
  host: PublishHost,
  options: SessionOptions,
): Promise<PublishWork> {
  const { drive, key, folder } = host.bundle
  if (options.tag !== undefined) assertTag(options.tag)
  const { releases, newest, tags } = await releasesOf(host)
  const holder = options.tag === undefined ? undefined : tags.get(options.tag)
  if (holder !== undefined && holder !== newest?.release) tagTaken(options.tag!, holder)
  const core =
    (await drive.getBlobs())?.core ?? fail('STORE_INVALID', 'the drive has no core for bytes')
  const patience = new Patience(host.bundle, { stallMs: 0 })
  const since = await blocksReleased(drive, newest, patience)
  const { blockFiles: files } = host
  const contents = new ContentStore({
    home: folder,
    key,
    core,
    digests: digestsOf(core, files),
    restore: async found => (await files?.restore(core, found)) ?? [],
    proof: new BlockProof({ core, files, since, all: options.rehash === true }),
    since,
    inPlace: options.inPlace === true,
  })
  return { host, options, releases, newest, contents }
}

interface Releases {
  readonly releases: number
  readonly newest: ReleaseRecord | null
  readonly tags: ReadonlyMap<string, number>
}

/**
 * The releases of a bundle of our own. Where this home remembers each of them, the newest alone is examined: that the tree
 * has the same hash at its length means that nothing before it was rewritten. Throws HISTORY_REWRITTEN.
 */
async function releasesOf(host: PublishHost): Promise<Releases> {
  const history = await host.history({ history: 'all', stallMs: 0 })
  const { numbers, seen } = history
  const releases = numbers.length
  const remembered =
    seen.releases.length === releases &&
    seen.releases.at(-1)?.release === numbers.at(-1) &&
    Object.keys(seen.faults).length === 0
  const before = remembered
    ? [releases === 0 ? null : await history.examine(releases)]
    : await history.examineAll()
  const faulty = before.find(one => one?.fault)
  if (faulty?.fault) throw faulty.fault
  const known = remembered ? seen.releases : before.map(one => one?.record)
  const tags = new Map<string, number>()
  for (const one of known) if (one?.tag !== undefined) tags.set(one.tag, one.release)
  return { releases, newest: before.at(-1)?.record ?? null, tags }
}
