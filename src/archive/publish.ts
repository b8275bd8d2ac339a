import type Hypercore from 'hypercore'
import type Hyperdrive from 'hyperdrive'
import type { DriveBlob } from 'hyperdrive'
import { FORMAT, type ReleaseRecord, type WorkRecord } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import type { PublishOptions, PublishResult } from '../core/home.ts'
import type { PreparedBundle } from '../core/prepared-bundle.ts'
import { assertTag, tagTaken } from '../core/release-tag.ts'
import { blake3 } from '../system/blake3.ts'
import { enterPhase } from '../system/phase.ts'
import type { HistoryLimits } from './bundle.ts'
import { recordPath } from './drive-paths.ts'
import { type HeadPlan, planHead } from './head-plan.ts'
import type { ExaminedRelease, History } from './history.ts'
import { adoptLeftovers, importBlobs } from './import-blobs.ts'
import type { BundleKeys } from './own-bundles.ts'
import { Patience, type PeerView } from './patience.ts'
import { signRecord } from './release-record.ts'
import { storeError } from './store-errors.ts'
import { type Wanted, type WantedContent, wantedEntries } from './wanted-entries.ts'

/** Refuses a tag that a release other than the newest has: that one may be published again under it. Throws TAG_TAKEN, HISTORY_REWRITTEN. */
export async function assertTagFree(host: PublishHost, tag: string | undefined): Promise<void> {
  if (tag === undefined) return
  assertTag(tag)
  const before = await (await host.history({ history: 'all', stallMs: 0 })).examineAll()
  const newest = newestOf(before)
  const holder = before.find(one => one.record?.tag === tag)
  if (holder && holder.record !== newest) tagTaken(tag, holder.release)
}

/** What publishing needs of its bundle. */
export interface PublishHost {
  readonly bundle: PeerView & { readonly drive: Hyperdrive }
  readonly keys: BundleKeys
  /** Makes everything written so far durable. */
  flush(): Promise<void>
  history(limits: HistoryLimits): Promise<History>
  /** Keeps that a release is out, so that rewriting it is noticed. */
  remember(record: ReleaseRecord, name: string): Promise<void>
}

const BATCH_ENTRIES = 2000
const PROGRESS_MS = 200

/**
 * Stores a release: bytes, then tree, manifest and index, then, when all that is durable, the record as the very last
 * write. A process killed at any point leaves no release or a whole one; what it stored is used again.
 */
export async function* publishRelease(
  host: PublishHost,
  prepared: PreparedBundle,
  options: Omit<PublishOptions, 'key' | 'onKey'>,
): AsyncGenerator<WorkRecord, PublishResult> {
  try {
    const result = yield* publish(host, prepared, options)
    await host.remember(result.record, prepared.manifest.name)
    return result
  } catch (error) {
    throw storeError(error, host.bundle.key, host.bundle.folder)
  }
}

async function* publish(
  host: PublishHost,
  prepared: PreparedBundle,
  options: Omit<PublishOptions, 'key' | 'onKey'>,
): AsyncGenerator<WorkRecord, PublishResult> {
  const { drive } = host.bundle
  const before = await (await host.history({ history: 'all', stallMs: 0 })).examineAll()
  const newest = newestOf(before)
  checkTag(before, options.tag, prepared, newest)
  const sameTag = options.tag === undefined || options.tag === newest?.tag
  if (newest && newest.contentHash === prepared.identity.contentHash && sameTag) {
    const result = { record: newest, published: false, storedFiles: 0, storedBytes: 0 }
    yield { action: 'release', status: 'unchanged', subject: String(newest.release) }
    return result
  }
  const blobs =
    (await drive.getBlobs())?.core ?? fail('STORE_INVALID', 'the drive has no core for bytes')
  const plan = await planHead(
    drive,
    blobs,
    wantedEntries(prepared),
    new Patience(host.bundle, { stallMs: 0 }),
  )
  const stored = yield* storeContents(drive, blobs, plan, options.signal)
  yield* writeTree(drive, plan, options.signal)
  enterPhase('durable')
  await host.flush()
  options.signal?.throwIfAborted()
  const release = before.length + 1
  yield { action: 'release', status: 'start', subject: String(release) }
  options.signal?.throwIfAborted()
  const record = await writeRecord(host, prepared, options, release)
  enterPhase('durable')
  await host.flush()
  const result = { record, published: true, ...stored }
  yield { action: 'release', status: 'ok', subject: String(release), data: { ...result } }
  return result
}

function newestOf(before: readonly ExaminedRelease[]): ReleaseRecord | null {
  const faulty = before.find(one => one.fault)
  if (faulty?.fault) throw faulty.fault
  return before.at(-1)?.record ?? null
}

function checkTag(
  before: readonly ExaminedRelease[],
  tag: string | undefined,
  prepared: PreparedBundle,
  newest: ReleaseRecord | null,
): void {
  if (tag === undefined) return
  assertTag(tag)
  const holder = before.find(one => one.record?.tag === tag)
  if (!holder) return
  const again = holder.record === newest && newest?.contentHash === prepared.identity.contentHash
  if (!again) tagTaken(tag, holder.release)
}

async function* storeContents(
  drive: Hyperdrive,
  blobs: Hypercore,
  plan: HeadPlan,
  signal: AbortSignal | undefined,
): AsyncGenerator<WorkRecord, { storedFiles: number; storedBytes: number }> {
  const waiting = new Map<string, Wanted[]>()
  const contents: WantedContent[] = []
  for (const one of plan.put) {
    if (!one.content || plan.stored.has(one.content.blake3)) continue
    const same = waiting.get(one.content.blake3)
    if (same) same.push(one)
    else {
      waiting.set(one.content.blake3, [one])
      contents.push(one.content)
    }
  }
  if (plan.referencedEnd < blobs.length) {
    const adopted = await adoptLeftovers(blobs, plan.referencedEnd, contents)
    for (const [hash, blob] of adopted) plan.stored.set(hash, blob)
  }
  const missing = contents.filter(content => !plan.stored.has(content.blake3))
  const totalBytes = missing.reduce((sum, content) => sum + content.size, 0)
  const counted = missing.filter(content => content.counted)
  const totals = { totalBytes, totalFiles: counted.length }
  yield { action: 'store', status: 'start', ...totals }
  let bytes = 0
  let files = 0
  let shown = 0
  for await (const group of importBlobs(blobs, missing, signal, n => (bytes += n))) {
    const put = group.flatMap(({ content, blob }) =>
      (waiting.get(content.blake3) ?? []).map(one => ({ ...one, blob })),
    )
    await putEntries(drive, put)
    files += group.filter(({ content }) => content.counted).length
    if (Date.now() - shown > PROGRESS_MS) {
      shown = Date.now()
      yield { action: 'progress', subject: 'store', bytes, files, ...totals }
    }
  }
  const storedBytes = counted.reduce((sum, content) => sum + content.size, 0)
  yield { action: 'store', status: 'ok', ...totals, bytes: storedBytes, files }
  return { storedFiles: counted.length, storedBytes }
}

/** Puts what points to stored bytes, links, and takes away what the release does not have. */
async function* writeTree(
  drive: Hyperdrive,
  plan: HeadPlan,
  signal: AbortSignal | undefined,
): AsyncGenerator<WorkRecord> {
  const rest = plan.put
    .map(one => ({ ...one, blob: one.content ? plan.stored.get(one.content.blake3) : null }))
    .filter((one): one is Wanted & { blob: DriveBlob | null } => one.blob !== undefined)
  yield { action: 'index', status: 'start', totalFiles: rest.length + plan.remove.length }
  for (let at = 0; at < rest.length; at += BATCH_ENTRIES) {
    signal?.throwIfAborted()
    await putEntries(drive, rest.slice(at, at + BATCH_ENTRIES))
  }
  for (let at = 0; at < plan.remove.length; at += BATCH_ENTRIES) {
    signal?.throwIfAborted()
    const batch = drive.batch()
    for (const path of plan.remove.slice(at, at + BATCH_ENTRIES)) await batch.del(`/${path}`)
    await batch.flush()
  }
  yield { action: 'index', status: 'ok' }
}

async function putEntries(
  drive: Hyperdrive,
  entries: readonly (Wanted & { readonly blob: DriveBlob | null })[],
): Promise<void> {
  if (entries.length === 0) return
  enterPhase('bee')
  const batch = drive.batch()
  for (const { path, executable, linkname, content, blob } of entries) {
    const metadata = content ? { blake3: content.blake3 } : null
    await batch.putEntry(`/${path}`, { executable, linkname, blob, metadata })
  }
  await batch.flush()
}

/** The very last write: what makes the release exist. */
async function writeRecord(
  host: PublishHost,
  prepared: PreparedBundle,
  options: Omit<PublishOptions, 'key' | 'onKey'>,
  release: number,
): Promise<ReleaseRecord> {
  const { drive, key } = host.bundle
  const { files, bytes } = prepared.manifest.index
  const { record, text } = signRecord(
    {
      format: FORMAT,
      key,
      release,
      ...(options.tag === undefined ? {} : { tag: options.tag }),
      ...(options.message === undefined ? {} : { message: options.message }),
      date: (options.now?.() ?? new Date()).toISOString(),
      driveVersion: drive.version,
      contentHash: prepared.identity.contentHash,
      files,
      bytes,
      coreManifest: host.keys.coreManifest,
    },
    host.keys.signingKey,
  )
  enterPhase('record')
  await drive.put(`/${recordPath(release)}`, Buffer.from(text), {
    metadata: { blake3: blake3(text) },
  })
  return record
}
