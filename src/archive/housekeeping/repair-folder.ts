import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileEntry, IndexEntry, WorkRecord } from '../../../schemas/index.ts'
import { canonicalJson } from '../../core/canonical-json.ts'
import { ReproError } from '../../core/errors.ts'
import type { OpenRelease } from '../../core/home.ts'
import type { Repair } from '../../core/housekeeping.ts'
import { writeFileAtomic } from '../../system/atomic-file.ts'
import { formatFileState } from '../../system/file-state.ts'
import { enterPhase } from '../../system/phase.ts'
import { TreeWriter } from '../../system/tree-writer.ts'
import {
  INDEX_FOLDER,
  MANIFEST_PATH,
  RELEASES_FOLDER,
  recordPath,
  segmentPath,
} from '../drive-paths.ts'
import { type FileNotes, isOfDate, readFileNotes, sameWriting } from '../file-notes.ts'
import { allSegments } from '../segments.ts'

/** Writes record, manifest and index of a fetched folder again where they are not as the release has them. */
export async function repairFolderRecords(folder: string, release: OpenRelease): Promise<void> {
  const { record, manifestText } = release
  const writer = new TreeWriter(folder)
  for (const path of [INDEX_FOLDER, RELEASES_FOLDER]) writer.writeFolder(path)
  for await (const { blake3, text } of allSegments(release))
    await writeFileAtomic(join(folder, segmentPath(blake3)), text)
  await writeFileAtomic(join(folder, recordPath(record.release)), canonicalJson(record))
  await writeFileAtomic(join(folder, MANIFEST_PATH), manifestText)
}

/**
 * Writes those of `paths` again that are missing, or that nobody but the disk can have changed since they were fetched:
 * what a person changed is told and left alone. Yields a `verify` record for each. A file takes its name only when its
 * hash is right. Throws NO_PEER, HASH_MISMATCH of the source, DISK_FULL, INTERRUPTED.
 */
export async function* repairFolderFiles(
  folder: string,
  release: OpenRelease,
  paths: ReadonlySet<string>,
  signal?: AbortSignal,
): AsyncGenerator<WorkRecord, Repair[]> {
  const notes = readFileNotes(folder)
  const repairs: Repair[] = []
  const wanted: IndexEntry[] = []
  for await (const entry of release.entries()) {
    if (!paths.has(entry.path)) continue
    if (await isDamageOnly(folder, entry, notes, release.identity.date)) wanted.push(entry)
    else repairs.push(kept(entry))
  }
  for (const repair of repairs) yield told(repair)
  const files = wanted.filter((entry): entry is FileEntry => entry.type === 'file')
  const writer = new TreeWriter(folder)
  const mtime = release.identity.date === null ? null : new Date(release.identity.date)
  for (const entry of wanted) {
    signal?.throwIfAborted()
    let message: string | null = null
    try {
      if (entry.type === 'file') yield* release.fetch([entry], signal)
      enterPhase('repair')
      await write(writer, release, entry, mtime, signal)
    } catch (error) {
      if (!(error instanceof ReproError) || error.code === 'INTERRUPTED') throw error
      if (files.length === 0 || error.code === 'DISK_FULL') throw error
      message = error.message
    }
    const one = { what: entry.path, blocks: 0 }
    const repair =
      message === null ? { ...one, repaired: true } : { ...one, repaired: false, message }
    repairs.push(repair)
    yield told(repair)
  }
  return repairs
}

async function write(
  writer: TreeWriter,
  release: OpenRelease,
  entry: IndexEntry,
  mtime: Date | null,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (entry.type === 'folder') writer.writeFolder(entry.path)
  else if (entry.type === 'link') await writer.writeLink(entry, mtime)
  else await writer.writeFile(entry, release.read(entry, signal), signal, mtime)
}

/**
 * Whether what stands at a path is nobody's work: nothing at all, or a file with the time that fetching gave it. A person
 * who edits a file changes its time, a bad disk does not.
 */
async function isDamageOnly(
  folder: string,
  entry: IndexEntry,
  notes: FileNotes,
  date: string | null,
): Promise<boolean> {
  const stats = await lstat(join(folder, entry.path), { bigint: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw error
    },
  )
  if (stats === null) return true
  if (!stats.isFile() || entry.type !== 'file') return false
  const note = notes.get(entry.path)
  if (note && sameWriting(note.state, formatFileState(stats))) return true
  return date !== null && isOfDate(stats.mtimeNs, date)
}

function kept({ path }: IndexEntry): Repair {
  const message = 'somebody changed it after it was fetched: it is left as it is'
  return { what: path, blocks: 0, repaired: false, message }
}

function told(repair: Repair): WorkRecord {
  return {
    action: 'verify',
    status: repair.repaired ? 'ok' : 'error',
    subject: repair.what,
    message: repair.repaired ? 'repaired' : `not repaired: ${repair.message}`,
    data: { ...repair },
  }
}
