import type { FileEntry, IndexEntry, WorkRecord } from '../../schemas/index.ts'
import { asReproError, ReproError } from '../core/errors.ts'
import { assertLinksInside } from '../core/link-tree.ts'
import type { LocatedFile, ReleaseIdentity, ReleaseSource } from '../core/release-source.ts'
import { createBlake3 } from '../system/blake3.ts'
import { parallel } from '../system/parallel.ts'
import { cutJobs } from '../system/tree-jobs.ts'
import { TreePool } from '../system/tree-pool.ts'
import { IMAGES_FOLDER } from './drive-paths.ts'
import { assertComplete, openFolderRelease } from './folder-release.ts'
import { LocalFiles } from './local-files.ts'

/** What re-hashing found. Nothing is wrong when the three lists are empty. */
export interface VerifyResult {
  readonly identity: ReleaseIdentity
  /** Files that are here and were looked at, and their bytes. */
  readonly files: number
  readonly bytes: number
  readonly missing: readonly string[]
  readonly changed: readonly string[]
  readonly extra: readonly string[]
  /** True when only a part of the release is here by choice: that was looked at. In a store, `missing` names the rest. */
  readonly partial: boolean
}

const AT_ONCE = 8
const PROGRESS_MS = 200

/**
 * Re-hashes every file of a release as its source has it. Yields a `verify` record for each that is missing or
 * changed, and `progress`. Does not throw for those: look at the result. Throws LINK_UNSAFE.
 */
export async function* verifyRelease(
  source: ReleaseSource,
  signal?: AbortSignal,
): AsyncGenerator<WorkRecord, VerifyResult> {
  const found = new Findings(source)
  yield found.start()
  const files: FileEntry[] = []
  const links: IndexEntry[] = []
  for await (const entry of source.entries())
    if (entry.type === 'file') files.push(entry)
    else if (entry.type === 'link') links.push(entry)
  assertLinksInside(links)
  const pool = new TreePool(source.manifest.index.bytes, files.length)
  try {
    const look = (jobs: readonly LocatedFile[]) => faultsOf(source, jobs, pool, signal)
    const jobs = jobsOf(source, files, pool, signal)
    for await (const looked of parallel(jobs, Math.max(AT_ONCE, pool.width), look)) {
      for (const { file, fault } of looked) {
        if (!fault?.missing) found.count(file)
        if (fault) yield found.report(fault.missing ? 'missing' : 'changed', file.path, fault.what)
      }
      yield* found.progress()
    }
  } finally {
    await pool.close()
  }
  yield found.done()
  return found.result()
}

/**
 * Re-hashes a folder that `get` wrote, with no store and no peer: the record's signature, manifest, index, and each
 * file; names what is missing, changed or extra. Throws NOT_FOUND, PARTIAL for an interrupted `get`, SIGNATURE_INVALID, RECORD_INVALID, HASH_MISMATCH,
 * LINK_UNSAFE. No link is followed.
 */
export async function* verifyFolder(
  folder: string,
  signal?: AbortSignal,
): AsyncGenerator<WorkRecord, VerifyResult> {
  const release = await openFolderRelease(folder)
  const { partial } = release.state
  const selected = new Set(release.state.selected)
  assertComplete(folder, release.state)
  const found = new Findings(release)
  yield found.start()
  const known = new Set<string>()
  const links: IndexEntry[] = []
  const { bytes, entries } = release.manifest.index
  const pool = new TreePool(bytes, entries)
  const local = new LocalFiles(folder, pool)
  try {
    for await (const batch of local.compare(release.entries(), signal ? { signal } : {})) {
      for (const { entry, local: state } of batch) {
        known.add(entry.path)
        if (entry.type === 'link') links.push(entry)
        if (state.is === 'missing' && partial && !selected.has(entry.path)) continue
        if (state.is !== 'missing') found.count(entry)
        if (state.is === 'missing') yield found.report('missing', entry.path, 'is missing')
        else if (state.is === 'other') yield found.report('changed', entry.path, state.what)
      }
      yield* found.progress()
    }
  } finally {
    await pool.close()
  }
  assertLinksInside(links)
  const parents = foldersAbove(known)
  for (const item of local.walk(isOurs)) {
    if (known.has(item.path) || (item.folder && parents.has(item.path))) continue
    yield found.report('extra', item.path, 'is not in the release')
  }
  yield found.done()
  return found.result(partial)
}

/** Repro's own files beside a checkout, which the index does not cover. */
function isOurs(path: string): boolean {
  return (
    path.startsWith('.repro/') && path !== IMAGES_FOLDER && !path.startsWith(`${IMAGES_FOLDER}/`)
  )
}

function foldersAbove(paths: ReadonlySet<string>): Set<string> {
  const folders = new Set(['.repro'])
  for (const path of paths) {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const folder = path.slice(0, at)
      if (folders.has(folder)) break
      folders.add(folder)
    }
  }
  return folders
}

/** Files as the threads take them; those whose bytes must be asked for, one at a time. */
async function* jobsOf(
  source: ReleaseSource,
  files: readonly FileEntry[],
  pool: TreePool,
  signal?: AbortSignal,
): AsyncGenerator<readonly LocatedFile[]> {
  const unknown: LocatedFile[] = files.map(file => ({ file, extents: null }))
  const located = pool.width > 0 && files.length > 0 ? source.extents?.(files, signal) : undefined
  for await (const batch of located ?? [unknown]) {
    yield* cutJobs(
      batch.filter(one => one.extents !== null),
      one => one.file.size,
    )
    for (const one of batch) if (one.extents === null) yield [one]
  }
}

/** What is wrong with each file. One that the threads find wrong is read again, for the words. */
async function faultsOf(
  source: ReleaseSource,
  files: readonly LocatedFile[],
  pool: TreePool,
  signal?: AbortSignal,
): Promise<{ file: FileEntry; fault: Fault | null }[]> {
  signal?.throwIfAborted()
  const there = files.map(({ file, extents }) => ({ ...file, extents: extents ?? [] }))
  const proven = files[0]!.extents === null ? [] : await pool.prove(there)
  return await Promise.all(
    files.map(async ({ file }, i) => ({
      file,
      fault: proven[i] ? null : await faultOf(source, file, signal),
    })),
  )
}

interface Fault {
  readonly missing: boolean
  readonly what: string
}

async function faultOf(
  source: ReleaseSource,
  file: FileEntry,
  signal?: AbortSignal,
): Promise<Fault | null> {
  const hasher = createBlake3()
  let size = 0
  try {
    for await (const chunk of source.read(file, signal)) {
      hasher.update(chunk)
      size += chunk.length
    }
  } catch (error) {
    if (signal?.aborted) throw asReproError(error)
    const missing = error instanceof ReproError ? error.code === 'NO_PEER' : isMissing(error)
    return { missing, what: missing ? 'is not here' : (error as Error).message }
  }
  if (size !== file.size)
    return { missing: false, what: `has ${size} bytes, expected ${file.size}` }
  const hash = hasher.hex()
  if (hash === file.blake3) return null
  return { missing: false, what: `has the hash ${hash}, expected ${file.blake3}` }
}

const isMissing = (error: unknown) => (error as { code?: string }).code === 'ENOENT'

class Findings {
  readonly #identity: ReleaseIdentity
  readonly #totals: { totalBytes: number; totalFiles: number }
  readonly #lists = { missing: [] as string[], changed: [] as string[], extra: [] as string[] }
  #files = 0
  #bytes = 0
  #shown = Date.now()

  constructor(source: ReleaseSource) {
    const { files, bytes } = source.manifest.index
    this.#identity = source.identity
    this.#totals = { totalBytes: bytes, totalFiles: files }
  }

  start(): WorkRecord {
    return { action: 'verify', status: 'start', ...this.#totals }
  }

  done(): WorkRecord {
    return { action: 'verify', status: 'ok', bytes: this.#bytes, files: this.#files }
  }

  count(entry: IndexEntry): void {
    if (entry.type !== 'file') return
    this.#files++
    this.#bytes += entry.size
  }

  report(list: 'missing' | 'changed' | 'extra', path: string, message: string): WorkRecord {
    this.#lists[list].push(path)
    return { action: 'verify', status: 'error', subject: path, message, data: { found: list } }
  }

  *progress(): Generator<WorkRecord> {
    if (Date.now() - this.#shown < PROGRESS_MS) return
    this.#shown = Date.now()
    const done = { bytes: this.#bytes, files: this.#files }
    yield { action: 'progress', subject: 'verify', ...done, ...this.#totals }
  }

  /** @param partial whether a part is all that was asked for; else, where nothing but missing files was found. */
  result(partial?: boolean): VerifyResult {
    const { missing, changed, extra } = this.#lists
    const part = missing.length > 0 && changed.length + extra.length === 0
    for (const list of Object.values(this.#lists)) list.sort()
    return {
      identity: this.#identity,
      files: this.#files,
      bytes: this.#bytes,
      ...this.#lists,
      partial: partial ?? part,
    }
  }
}
