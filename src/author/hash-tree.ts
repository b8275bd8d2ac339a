import type { FileEntry, WorkRecord } from '../../schemas/index.ts'
import { comparePaths } from '../core/archive-path.ts'
import { asReproError } from '../core/errors.ts'
import type { IngestedFile, PublishSession } from '../core/home.ts'
import { count, formatCount } from '../core/text.ts'
import { IngestPool } from '../system/ingest-pool.ts'
import { enterPhase } from '../system/phase.ts'
import type { StatCache } from '../system/stat-cache.ts'
import { type AuthorFault, throwFaults } from './faults.ts'
import type { TreeFile } from './walk.ts'

const PROGRESS_EVERY_MS = 100

/** Reads files once and tells their hashes; what it does with the bytes meanwhile is its own. */
export type Ingest = PublishSession['ingest']

export interface HashTreeOptions {
  /** Knows files that are as they were when they were hashed last; what is hashed is noted there. */
  readonly known: StatCache
  /** Default: only hashes. */
  readonly ingest?: Ingest
  readonly signal?: AbortSignal | undefined
}

export interface HashedTree {
  /** In the order of the files; made when they are asked for. */
  readonly entries: () => readonly FileEntry[]
  /** How many of them had to be read. */
  readonly read: number
}

/**
 * The hashes of files: known ones from the cache, all others by reading them side by side. Throws SOURCE_CHANGED or
 * READ_FAILED once for all files that changed since the walk or could not be read, what `ingest` throws, INTERRUPTED.
 */
export async function* hashTree(
  files: readonly TreeFile[],
  { known, ingest = hashOnly, signal }: HashTreeOptions,
): AsyncGenerator<WorkRecord, HashedTree> {
  const hashes = files.map(file => known.hashOf(file))
  const unknown = files.filter((_, i) => hashes[i] === null)
  const read = new Map<TreeFile, string>()
  const totals = { totalBytes: bytesOf(unknown), totalFiles: unknown.length }
  yield { action: 'hash', status: 'start', bytes: 0, files: 0, ...totals }
  if (unknown.length > 0) {
    const faults: AuthorFault[] = []
    const work = ingest(unknown, signal)
    let done: readonly IngestedFile[]
    for (;;) {
      const step = await work.next()
      if (step.done) {
        done = step.value
        break
      }
      // The same bytes are hashed and stored: to whoever looks on it is one work.
      yield step.value.action === 'progress' ? { ...step.value, subject: 'hash' } : step.value
    }
    for (const [i, one] of done.entries()) {
      const file = unknown[i]!
      if ('error' in one && one.error !== undefined) faults.push(faultFor(file, one.error))
      else if (!('blake3' in one) || one.state !== file.state) faults.push(changed(file.path))
      else {
        known.note(file, { blake3: one.blake3 })
        read.set(file, one.blake3)
      }
    }
    throwFaults(faults.sort((a, b) => comparePaths(a.file ?? '', b.file ?? '')))
  }
  yield {
    action: 'hash',
    status: 'ok',
    bytes: totals.totalBytes,
    files: unknown.length,
    ...totals,
    message: said(unknown.length, files.length),
    data: {
      knownFiles: files.length - unknown.length,
      knownBytes: bytesOf(files) - totals.totalBytes,
    },
  }
  for (const [i, file] of files.entries()) hashes[i] ??= read.get(file) ?? null
  return { entries: entriesOf(files, hashes as string[]), read: unknown.length }
}

/** Apart, so that what is kept for them is no more than this. */
function entriesOf(files: readonly TreeFile[], hashes: readonly string[]) {
  return () => files.map((file, i) => entryOf(file, hashes[i]!))
}

function entryOf({ path, size, mode }: TreeFile, blake3: string): FileEntry {
  if ((mode & 0o100) === 0) return { path, type: 'file', size, blake3 }
  return { path, type: 'file', size, executable: true, blake3 }
}

function said(read: number, all: number): string {
  if (read === all) return `hashed ${count('file', all)}`
  const rest = `${formatCount(all - read)} unchanged since they were hashed`
  return read === 0 ? `hashed no file, ${rest}` : `hashed ${count('file', read)}, ${rest}`
}

const bytesOf = (files: readonly TreeFile[]) => files.reduce((sum, { size }) => sum + size, 0)

async function* hashOnly(
  files: Parameters<Ingest>[0],
  signal?: AbortSignal,
): AsyncGenerator<WorkRecord, readonly IngestedFile[]> {
  const totals = {
    totalBytes: files.reduce((sum, { size }) => sum + size, 0),
    totalFiles: files.length,
  }
  const done = new Array<IngestedFile>(files.length)
  const pool = new IngestPool({
    expectedBytes: totals.totalBytes,
    expectedFiles: totals.totalFiles,
    bytes: false,
  })
  /** Bytes of files that were told of before they were whole. */
  const told: Record<number, number> = {}
  let bytes = 0
  let saidMs = 0
  let read = 0
  try {
    for await (const event of pool.run(files, signal)) {
      enterPhase('hash')
      if (event.type === 'progress') {
        bytes += event.bytes
        told[event.index] = (told[event.index] ?? 0) + event.bytes
      } else if (event.type === 'fault') {
        done[event.index] = { path: files[event.index]!.path, error: event.error }
        read++
      } else if (event.type === 'files')
        for (const { index, hashed } of event.files) {
          done[index] = { path: files[index]!.path, ...hashed }
          bytes += hashed.size - (told[index] ?? 0)
          read++
        }
      if (Date.now() - saidMs < PROGRESS_EVERY_MS) continue
      saidMs = Date.now()
      yield { action: 'progress', subject: 'hash', bytes, files: read, ...totals }
    }
  } finally {
    await pool.close()
  }
  return done
}

/** A file that moved under our hands: nothing is published. */
export function changed(path: string): AuthorFault {
  return {
    code: 'SOURCE_CHANGED',
    file: path,
    message: 'changed while the folder was being read',
    hints: ['wait until nothing writes to the folder, then repeat the command'],
  }
}

function faultFor(file: TreeFile, cause: unknown): AuthorFault {
  const errno = (cause as NodeJS.ErrnoException).code
  if (errno === 'ENOENT' || errno === 'ELOOP' || errno === 'SOURCE_CHANGED')
    return changed(file.path)
  const error = asReproError(cause)
  return {
    code: error.code === 'INTERNAL' ? 'READ_FAILED' : error.code,
    file: file.path,
    message: `cannot be read: ${error.message}`,
    hints: error.hints,
  }
}
