import type { Manifest, WorkRecord } from '../../schemas/index.ts'
import { asReproError, fail } from '../core/errors.ts'
import type { Home, PublishResult, PublishSession } from '../core/home.ts'
import type { PreparedBundle } from '../core/prepared-bundle.ts'
import { assertTag, tagTaken } from '../core/release-tag.ts'
import type { Settings } from '../core/settings.ts'
import { bundleFilePath, readBundleFile, writableKey, writeBundleFile } from './bundle-file.ts'
import { formatCitation } from './citation.ts'
import { openFolder, prepareBundle } from './prepare.ts'
import type { Survey } from './prepare-options.ts'

export interface PublishFolderOptions {
  readonly settings: Pick<Settings, 'cache'>
  readonly tag?: string
  readonly message?: string
  /** Publish as a bundle of its own, whatever the folder was published as before. */
  readonly newBundle?: boolean
  readonly recapture?: boolean
  /** Reads every file again, also those that are as they were when they were hashed last, and what is stored of them. */
  readonly rehash?: boolean
  /** Points into the author's own files instead of copying their bytes. */
  readonly inPlace?: boolean
  /** Writes although peers may have more of the bundle than is here. */
  readonly unsynced?: boolean
  /** A first look at the folder that was begun while the home was opened. */
  readonly survey?: Promise<Survey>
  readonly signal?: AbortSignal
  /** The clock, for tests. */
  readonly now?: () => Date
}

export interface PublishedFolder extends PublishResult {
  readonly manifest: Manifest
  /** One line to put into a paper. */
  readonly citation: string
}

/**
 * Publishes an author's folder to the bundle it belongs to, or to a new one, and notes that in `.repro/bundle.json`:
 * the key before anything is stored, so that a first publish that was cut off is resumed by the next, the release when it is out.
 * Files are read once, to be hashed and stored; before that all is refused that can be refused without it.
 * Throws what `prepareBundle` and `Home.startPublish` throw, and KEY_NOT_WRITABLE, USAGE and TAG_TAKEN before all else.
 */
export async function* publishFolder(
  home: Home,
  folder: string,
  options: PublishFolderOptions,
): AsyncGenerator<WorkRecord, PublishedFolder> {
  const { signal, tag } = options
  if (tag !== undefined) assertTag(tag)
  const root = await openFolder(folder)
  const key = options.newBundle ? null : await writableKey(root, key => isWritable(home, key))
  if (tag !== undefined && key !== null) await assertTagFree(home, key, tag, signal)
  const released = key === null ? 0 : ((await readBundleFile(root))?.release ?? 0)
  let session: PublishSession | undefined
  const start = async () => {
    session ??= await home.startPublish({
      key,
      onKey: key => bindFolder(root, key),
      ...(tag === undefined ? {} : { tag }),
      ...(options.message === undefined ? {} : { message: options.message }),
      ...(options.inPlace ? { inPlace: true } : {}),
      ...(options.rehash ? { rehash: true } : {}),
      ...(released > 0 ? { released } : {}),
      ...(options.unsynced ? { unsynced: true } : {}),
      ...(options.now ? { now: options.now } : {}),
      ...(signal ? { signal } : {}),
    })
    return session
  }
  let prepared: PreparedBundle
  let result: PublishResult
  try {
    prepared = yield* prepareBundle(root, {
      settings: options.settings,
      purpose: 'publish',
      async *ingest(files, signal) {
        return yield* (await start()).ingest(files, signal)
      },
      ...(options.recapture ? { recapture: true } : {}),
      ...(options.rehash ? { rehash: true } : {}),
      ...(options.survey ? { survey: options.survey } : {}),
      ...(options.now ? { now: options.now } : {}),
      ...(signal ? { signal } : {}),
    })
    result = yield* (await start()).publish(prepared)
  } finally {
    await session?.close()
  }
  const { record } = result
  await noteBundle(root, {
    key: record.key,
    release: record.release,
    contentHash: record.contentHash,
  })
  const { manifest } = prepared
  return { ...result, manifest, citation: formatCitation(manifest, record) }
}

/** The newest release may be published again under its own tag: whether its content is the same is known later. */
async function assertTagFree(
  home: Home,
  key: string,
  tag: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const bundle = (await home.list()).find(one => one.key === key)
  if (!bundle?.releases) return
  const how = { network: 'never', history: 'cheap', ...(signal ? { signal } : {}) } as const
  const releases = await home.log({ kind: 'key', key }, how)
  const holder = releases.slice(0, -1).find(({ record }) => record?.tag === tag)
  if (holder) tagTaken(tag, holder.release)
}

/** Notes a key under which nothing is published yet. Throws WRITE_FAILED, DISK_FULL. */
async function bindFolder(root: string, key: string): Promise<void> {
  try {
    await writeBundleFile(root, { key, release: 0 })
  } catch (cause) {
    const error = asReproError(cause)
    if (error.code === 'DISK_FULL') throw error
    fail(
      'WRITE_FAILED',
      `nothing was published, because "${bundleFilePath(root)}" could not be written: ${error.message}`,
      { hints: ['make the folder writable and publish again'], cause },
    )
  }
}

/** The release is out by now: a note that cannot be written must still tell the key. */
async function noteBundle(
  root: string,
  bundle: { key: string; release: number; contentHash: string },
): Promise<void> {
  const noted = await readBundleFile(root).catch(() => null)
  const { key, release, contentHash } = bundle
  if (noted?.key === key && noted.release === release && noted.contentHash === contentHash) return
  try {
    await writeBundleFile(root, bundle)
  } catch (cause) {
    fail(
      'WRITE_FAILED',
      `release ${bundle.release} of ${bundle.key} is published, but "${bundleFilePath(root)}" could not be written: ${asReproError(cause).message}`,
      {
        hints: ['make the folder writable and publish again: the release stays the same'],
        data: { ...bundle },
        cause,
      },
    )
  }
}

async function isWritable(home: Home, key: string): Promise<boolean> {
  return (await home.list()).some(bundle => bundle.key === key && bundle.writable)
}
