import type { DriveBlob } from 'hyperdrive'
import type {
  FileEntry,
  IndexEntry,
  Manifest,
  ReleaseRecord,
  WorkRecord,
} from '../../schemas/index.ts'
import { asReproError, fail } from '../core/errors.ts'
import type { OpenRelease } from '../core/home.ts'
import type { LocatedFile, ReleaseIdentity } from '../core/release-source.ts'
import { blake3 } from '../system/blake3.ts'
import type { BlobGuesses } from './blob-guesses.ts'
import { blockFinder, type FileBlocks, placesOf } from './block-places.ts'
import type { ReadLimits } from './bundle.ts'
import { readIndex } from './content-index.ts'
import { MANIFEST_PATH, segmentPath } from './drive-paths.ts'
import type { DriveEntry, DriveView } from './drive-view.ts'
import { fetchBlobs } from './fetch-blobs.ts'
import { countHeld } from './held-files.ts'
import { safeEntries } from './index-entries.ts'
import { MAX_MANIFEST_BYTES, MAX_SEGMENT_BYTES } from './limits.ts'
import { lookUp } from './look-up.ts'
import { parseManifest } from './release-manifest.ts'
import { isDamage } from './store-errors.ts'

const READERS_KEPT = 8
const ENTRIES_KEPT = 100_000
/** So many files are put in the order of their blocks: a release of a million is no list of that length. */
const LOCATED_AT_ONCE = 16_384
/** For fewer entries, looking each one up is cheaper than reading all that was ever put. */
const WORTH_A_GUESS = 256
/** So many blocks that were put are read for one entry of the release. */
const BLOCKS_AN_ENTRY = 8

/** What a release needs of its bundle. */
export interface ReleaseHost {
  /** A view of the drive at a length. */
  view(length: number, limits: ReadLimits): DriveView
  peers(): number
}

/** One release in a store; its record has been checked. */
export class StoreRelease implements OpenRelease {
  readonly record: ReleaseRecord
  readonly identity: ReleaseIdentity
  readonly manifest: Manifest
  readonly manifestText: string
  readonly #host: ReleaseHost
  readonly #limits: ReadLimits
  readonly #view: DriveView
  /** Views that `read` keeps open, by the signal that ends their waits. */
  readonly #readers = new Map<AbortSignal | undefined, DriveView>()
  /** Entries that were looked up, by path; so many, and no more. */
  readonly #known = new Map<string, DriveEntry>()
  /** All that was put, by path, read in one go; not checked. */
  #guessed: BlobGuesses | null = null
  #closed = false

  private constructor(
    host: ReleaseHost,
    view: DriveView,
    limits: ReadLimits,
    record: ReleaseRecord,
    bytes: Buffer,
  ) {
    this.#host = host
    this.#limits = limits
    this.#view = view
    this.record = record
    this.manifest = parseManifest(bytes, record.contentHash)
    this.manifestText = bytes.toString('utf8')
    this.identity = {
      key: record.key,
      release: record.release,
      tag: record.tag ?? null,
      contentHash: record.contentHash,
      date: record.date,
    }
  }

  /** Reads and checks the manifest. Throws HASH_MISMATCH, RECORD_INVALID, FORMAT_UNSUPPORTED, NO_PEER. */
  static async open(
    host: ReleaseHost,
    record: ReleaseRecord,
    limits: ReadLimits,
  ): Promise<StoreRelease> {
    const view = host.view(record.driveVersion, limits)
    try {
      const bytes = await view.read(MANIFEST_PATH, MAX_MANIFEST_BYTES)
      if (!bytes)
        fail('HASH_MISMATCH', `release ${record.release} of "${record.key}" has no manifest`)
      return new StoreRelease(host, view, limits, record, bytes)
    } catch (error) {
      await view.close()
      throw error
    }
  }

  async *entries(prefix?: string): AsyncGenerator<IndexEntry> {
    if (prefix === undefined) await this.#guess()
    yield* safeEntries(readIndex(this.manifest.index, hash => this.segment(hash), prefix))
  }

  async segment(hash: string): Promise<string | null> {
    if (!/^[0-9a-f]{64}$/.test(hash)) return null
    const blob = this.#guessed?.get(segmentPath(hash))
    if (blob && blob.byteLength <= MAX_SEGMENT_BYTES) {
      // What is damaged is read again below, where there are words and peers for it.
      const bytes = await this.#view.small(blob).catch(() => null)
      if (bytes && blake3(bytes) === hash) return bytes.toString('utf8')
    }
    return (await this.#view.read(segmentPath(hash), MAX_SEGMENT_BYTES))?.toString('utf8') ?? null
  }

  async *fetch(files: readonly FileEntry[], signal?: AbortSignal): AsyncGenerator<WorkRecord> {
    const ended = new AbortController()
    const any = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal
    const view = this.#host.view(this.record.driveVersion, this.#limitsWith(any))
    try {
      yield* fetchBlobs(view, files, () => this.#host.peers(), this.#entriesOf)
    } finally {
      ended.abort()
      await view.close()
    }
  }

  async *read(file: FileEntry, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const view = this.#reader(signal)
    try {
      const { blob } = await this.#entryOf(view, file)
      yield* view.stream(blob, file.size)
    } finally {
      if (!this.#isKept(view)) await view.close()
    }
  }

  async *extents(
    files: readonly FileEntry[],
    signal?: AbortSignal,
  ): AsyncGenerator<readonly LocatedFile[]> {
    const view = this.#reader(signal)
    try {
      const core = await view.blobs()
      const find = blockFinder(core)
      if (find === null) {
        yield files.map(file => ({ file, extents: null }))
        return
      }
      for (let at = 0; at < files.length; at += LOCATED_AT_ONCE) {
        const blocks: (Omit<FileBlocks, 'runs'> & { readonly runs: FileBlocks['runs'] | null })[] =
          []
        const slice = files.slice(at, at + LOCATED_AT_ONCE)
        for await (const { file, entry } of this.#entriesOf(view, slice))
          blocks.push({ file, runs: await runsOf(view, file, entry.blob).catch(noRuns) })
        const found = blocks.filter(hasRuns)
        yield* placesOf(found, find)
        if (found.length < blocks.length)
          yield blocks.filter(one => !hasRuns(one)).map(({ file }) => ({ file, extents: null }))
      }
    } finally {
      if (!this.#isKept(view)) await view.close()
    }
  }

  async held(files: readonly FileEntry[]): Promise<number> {
    const view = this.#host.view(this.record.driveVersion, { ...this.#limits, stallMs: 0 })
    try {
      return await countHeld(view, files, this.#entryOf)
    } finally {
      await view.close()
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([this.#view, ...this.#readers.values()].map(view => view.close()))
    this.#readers.clear()
    this.#known.clear()
    this.#guessed = null
  }

  /** A view for reading: opening one costs more than reading a small file, so they are kept, but not without end. */
  #reader(signal: AbortSignal | undefined): DriveView {
    const kept = this.#readers.get(signal)
    if (kept) return kept
    const view = this.#host.view(this.record.driveVersion, this.#limitsWith(signal))
    if (!this.#closed && this.#readers.size < READERS_KEPT) this.#readers.set(signal, view)
    return view
  }

  #isKept(view: DriveView): boolean {
    return [...this.#readers.values()].includes(view)
  }

  /** Looks an entry up and remembers it: whoever fetches a file reads it next. */
  readonly #entryOf = async (view: DriveView, file: FileEntry): Promise<FileInDrive> => {
    const known = this.#known.get(file.path)
    const entry = known ?? (await view.entry(file.path))
    if (entry && this.#known.size < ENTRIES_KEPT) this.#known.set(file.path, entry)
    return checked(entry, file)
  }

  /** Reads what the drive holds in one go, where that pays: look-ups guess from it then. */
  async #guess(): Promise<void> {
    const { entries } = this.manifest.index
    if (this.#guessed !== null || entries < WORTH_A_GUESS) return
    const guess = await this.#view.guess(entries * BLOCKS_AN_ENTRY)
    // Where blocks are missing, more may come.
    if (guess?.whole) this.#guessed = guess.blobs
  }

  /**
   * Entries of many files, in any order. They may be guesses: whoever does not find the bytes of a file there asks
   * `read`, which looks.
   */
  readonly #entriesOf = async function* (
    this: StoreRelease,
    view: DriveView,
    files: readonly FileEntry[],
  ): AsyncGenerator<{ readonly file: FileEntry; readonly entry: { readonly blob: DriveBlob } }> {
    await this.#guess()
    const unknown: FileEntry[] = []
    for (const file of files) {
      const blob = this.#known.get(file.path)?.blob ?? this.#guessed?.get(file.path) ?? null
      if (blob && faultOf(blob, file) === null) yield { file, entry: { blob } }
      else unknown.push(file)
    }
    for await (const { file, entry } of lookUp(view, unknown)) {
      if (entry && this.#known.size < ENTRIES_KEPT) this.#known.set(file.path, entry)
      yield { file, entry: checked(entry, file) }
    }
  }.bind(this)

  #limitsWith(signal: AbortSignal | undefined): ReadLimits {
    if (!signal || signal === this.#limits.signal) return this.#limits
    const own = this.#limits.signal
    return { ...this.#limits, signal: own ? AbortSignal.any([own, signal]) : signal }
  }
}

/** The blocks of a file, from its block map where it has one. */
async function runsOf(
  view: DriveView,
  file: FileEntry,
  blob: DriveBlob,
): Promise<FileBlocks['runs']> {
  if (!blob.blockMap) {
    const { blockOffset: start, blockLength } = blob
    return blob.byteLength === 0 ? [] : [{ start, end: start + blockLength }]
  }
  const runs: { start: number; end: number }[] = []
  for (const { index } of await view.blockMap(blob, file.size)) {
    const last = runs.at(-1)
    if (last?.end === index) last.end++
    else runs.push({ start: index, end: index + 1 })
  }
  return runs
}

/** Whoever reads the file is told what is wrong with its block map; no other file suffers. */
function noRuns(error: unknown): null {
  if (isDamage(error) || asReproError(error).code === 'NO_PEER') return null
  throw error
}

const hasRuns = (one: { readonly runs: FileBlocks['runs'] | null }): one is FileBlocks =>
  one.runs !== null

type FileInDrive = DriveEntry & { readonly blob: NonNullable<DriveEntry['blob']> }

/** The drive's entry of a file of the index. Throws HASH_MISMATCH when it cannot hold that file. */
function checked(entry: DriveEntry | null, file: FileEntry): FileInDrive {
  const fault = faultOf(entry?.blob ?? null, file)
  return fault === null ? (entry as FileInDrive) : mismatch(file, fault)
}

/** Why a blob of the drive cannot be a file of the index; null when it may. */
function faultOf(blob: DriveBlob | null, file: FileEntry): string | null {
  if (!blob) return 'is not in the drive'
  return blob.blockMap || blob.byteLength === file.size
    ? null
    : `has ${blob.byteLength} bytes in the drive, the index says ${file.size}`
}

function mismatch(file: FileEntry, what: string): never {
  fail('HASH_MISMATCH', `"${file.path}" ${what}`, {
    hints: ['the release contradicts itself: whoever published it used no honest tool'],
    data: { path: file.path },
  })
}
