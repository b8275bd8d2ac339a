import { FORMAT, type ReleaseRecord, type WorkRecord } from '../../schemas/index.ts'
import { fail, ReproError } from '../core/errors.ts'
import type { PublishResult } from '../core/home.ts'
import type { PreparedBundle } from '../core/prepared-bundle.ts'
import { tagTaken } from '../core/release-tag.ts'
import type { SourceFile } from '../core/source-file.ts'
import { blake3 } from '../system/blake3.ts'
import { enterPhase } from '../system/phase.ts'
import type { PublishWork } from './begin-publish.ts'
import { recordPath } from './drive-paths.ts'
import { Patience } from './patience.ts'
import { ownTexts, planChange, type ReleaseChange } from './release-change.ts'
import { signRecord } from './release-record.ts'
import { type OwnText, type Wanted, wantedOf, wantedText } from './wanted-entries.ts'
import { writeEntries } from './write-entries.ts'

/** A batch holds all that it made until it is written: few entries, so that this is never moved out of the young heap. */
const BATCH_ENTRIES = 256

/**
 * Makes the release: what is not stored yet, then tree, manifest and index, then, when all that is durable, the record as
 * the very last write. A process killed at any point leaves no release or a whole one; what it stored is used again.
 */
export async function* publishRelease(
  work: PublishWork,
  prepared: PreparedBundle,
): AsyncGenerator<WorkRecord, PublishResult> {
  const { host, options, newest, contents } = work
  const { drive } = host.bundle
  const { name } = prepared.manifest
  const same = newest !== null && newest.contentHash === prepared.identity.contentHash
  if (options.tag !== undefined && options.tag === newest?.tag && !same)
    tagTaken(options.tag, newest.release)
  if (same && (options.tag === undefined || options.tag === newest.tag)) {
    if (options.rehash)
      await storeTexts(contents, [...ownTexts(prepared, prepared.segments.keys())], options.signal)
    // The publish that made it may have failed before it was durable.
    await host.flush()
    await host.remember(newest, name)
    yield { action: 'release', status: 'unchanged', subject: String(newest.release) }
    return { record: newest, published: false, storedFiles: 0, storedBytes: 0 }
  }
  const change = await planChange(
    drive,
    newest,
    prepared,
    new Patience(host.bundle, { stallMs: 0 }),
    hash => contents.read(hash),
    blob => contents.holds(blob),
  )
  yield* storeMissing(work, change, prepared)
  yield* writeTree(work, change)
  enterPhase('durable')
  await host.flush()
  options.signal?.throwIfAborted()
  const release = work.releases + 1
  yield { action: 'release', status: 'start', subject: String(release) }
  options.signal?.throwIfAborted()
  const stored = (await drive.getBlobs())!.core.length
  const record = await writeRecord(work, prepared, release)
  enterPhase('durable')
  await host.flush()
  await host.remember(record, name)
  await contents.clearUnused(stored)
  await contents.saveIndex()
  const { storedFiles, storedBytes } = contents
  const result = { record, published: true, storedFiles, storedBytes }
  yield* noteClock(newest, record)
  yield { action: 'release', status: 'ok', subject: String(release), data: { ...result } }
  return result
}

/** Releases are ordered by number; a date that goes back is only strange to read. */
function* noteClock(before: ReleaseRecord | null, { date, release }: ReleaseRecord) {
  if (before === null || date >= before.date) return
  const message = `release ${release} has the date ${date}, before that of release ${before.release} (${before.date}): check the clock`
  yield { action: 'note', subject: String(release), message } as const
}

/** Stores the contents that no entry of the head has and that this session has not stored. */
async function* storeMissing(
  { contents, options }: PublishWork,
  { entries, texts, stored }: ReleaseChange,
  prepared: PreparedBundle,
): AsyncGenerator<WorkRecord> {
  const files = new Map<string, SourceFile>()
  for (const entry of entries) {
    // What may not be published is refused before anything is stored.
    if (!wantedOf(entry)?.content || entry.type !== 'file') continue
    const { blake3 } = entry
    if (contents.has(blake3) || stored.has(blake3) || files.has(blake3)) continue
    files.set(blake3, prepared.source(entry))
  }
  const sources = [...files.values()]
  const totals = {
    totalBytes: sources.reduce((sum, file) => sum + file.size, 0),
    totalFiles: sources.length,
  }
  yield { action: 'store', status: 'start', ...totals }
  const ingested = yield* contents.ingest(sources, options.signal)
  const expected = [...files.keys()]
  for (const [i, file] of ingested.entries()) {
    if (!('blake3' in file)) throw file.error
    if (file.blake3 !== expected[i]) changed(sources[i]!.absolute)
  }
  await contents.rest()
  await storeTexts(contents, texts, options.signal)
  const { storedBytes: bytes, storedFiles } = contents
  yield { action: 'store', status: 'ok', bytes, files: storedFiles }
}

async function storeTexts(
  contents: PublishWork['contents'],
  texts: readonly OwnText[],
  signal?: AbortSignal,
): Promise<void> {
  for (let at = 0; at < texts.length; at += BATCH_ENTRIES) {
    signal?.throwIfAborted()
    const some = texts.slice(at, at + BATCH_ENTRIES)
    await contents.addTexts(some.map(one => ({ ...one, blake3: one.blake3 ?? blake3(one.text) })))
  }
  await contents.flush()
}

/** Puts what is new or changed, and takes away what the release does not have. */
async function* writeTree(
  { host, options, contents }: PublishWork,
  { entries, texts, remove, kept, stored }: ReleaseChange,
): AsyncGenerator<WorkRecord> {
  const { drive } = host.bundle
  const totalFiles = entries.length + texts.length + remove.length
  yield { action: 'index', status: 'start', totalFiles }
  const entryValue = async ({ path, executable, linkname, content }: Wanted) => {
    const blob = content
      ? ((await contents.blobFor(content.blake3)) ?? stored.get(content.blake3))
      : null
    if (blob === undefined) fail('INTERNAL', `the bytes of "${path}" were not stored`)
    return { executable, linkname, blob, metadata: content ? { blake3: content.blake3 } : null }
  }
  await writeEntries(drive, wantedIn(texts, entries), entryValue, options.signal)
  for (let at = 0; at < remove.length; at += BATCH_ENTRIES) {
    options.signal?.throwIfAborted()
    enterPhase('bee')
    const batch = drive.batch()
    for (const path of remove.slice(at, at + BATCH_ENTRIES)) await batch.del(`/${path}`)
    await batch.flush()
  }
  for (const blob of [...kept, ...stored.values()]) await contents.keep(blob)
  yield { action: 'index', status: 'ok' }
}

function* wantedIn(texts: ReleaseChange['texts'], entries: ReleaseChange['entries']) {
  for (const text of texts) yield wantedText(text)
  for (const entry of entries) {
    const wanted = wantedOf(entry)
    if (wanted) yield wanted
  }
}

/** The very last write: what makes the release exist. */
async function writeRecord(
  { host, options }: PublishWork,
  prepared: PreparedBundle,
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

function changed(path: string): never {
  throw new ReproError('SOURCE_CHANGED', `"${path}" changed while it was being published`, {
    hints: ['nothing was published; wait until nothing writes to it, then repeat the command'],
    data: { path },
  })
}
