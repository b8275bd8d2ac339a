import { chmodSync, constants, lstatSync, mkdirSync } from 'node:fs'
import { lstat, lutimes, open, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { FileEntry, IndexEntry } from '../../schemas/index.ts'
import { assertArchivePath, linkFault } from '../core/archive-path.ts'
import { fail, ReproError } from '../core/errors.ts'
import type { Extent, ReleaseSource } from '../core/release-source.ts'
import { temporaryName } from './atomic-file.ts'
import { createBlake3 } from './blake3.ts'
import { formatFileState } from './file-state.ts'
import { parallel } from './parallel.ts'
import { enterPhase } from './phase.ts'
import { cutJobs } from './tree-jobs.ts'
import type { TreePool } from './tree-pool.ts'

/** How systems say that a file was to take the place of a folder. */
const FOLDER_THERE: ReadonlySet<string> = new Set(['EISDIR', 'EEXIST', 'ENOTEMPTY'])

/** One of many files to write: `entry` says what and where. */
export interface FileToWrite {
  readonly entry: FileEntry
  /** Where the bytes lie on this host; null when they must be asked for. */
  readonly extents: readonly Extent[] | null
  /** The bytes, by the slow way that knows peers and words for what is wrong. */
  read(): AsyncIterable<Uint8Array>
}

/** A file that stands under its name, and its file state. */
export interface WrittenFile {
  readonly entry: FileEntry
  readonly state: string
}

export interface WriteFilesOptions {
  readonly pool: TreePool
  /** What the files get as their time; null leaves the clock's. */
  readonly mtime: Date | null
  readonly signal?: AbortSignal | undefined
}

const SLOW_AT_ONCE = 16

/**
 * Writes entries of a content index into a folder. Whatever a stranger's index says, nothing is written
 * outside of `root`: paths are checked, no folder on the way may be a link, and a file appears under its
 * name only when its bytes had the hash the index gives.
 */
export class TreeWriter {
  readonly root: string
  readonly #folders = new Set<string>()

  constructor(root: string) {
    this.root = root
  }

  /** Writes a file from its bytes. Returns its file state. Throws HASH_MISMATCH, PATH_UNSAFE. */
  async writeFile(
    entry: FileEntry,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal?: AbortSignal,
    mtime: Date | null = null,
  ): Promise<string> {
    const path = this.#prepare(entry.path)
    const temporary = temporaryName(path)
    const handle = await open(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    )
    let done = false
    try {
      const hasher = createBlake3()
      let size = 0
      for await (const chunk of chunks) {
        signal?.throwIfAborted()
        if (size + chunk.length > entry.size) mismatch(entry, 'has more bytes than the index says')
        hasher.update(chunk)
        await writeWhole(handle, chunk, size)
        size += chunk.length
      }
      if (size !== entry.size)
        mismatch(entry, `has ${size} bytes where the index says ${entry.size}`)
      const found = hasher.hex()
      if (found !== entry.blake3)
        mismatch(entry, `has the hash ${found} where the index says ${entry.blake3}`)
      await handle.chmod(modeOf(entry))
      if (mtime) await handle.utimes(mtime, mtime)
      await handle.close()
      done = true
      await this.#replace(temporary, path)
      return formatFileState(await lstat(path, { bigint: true }))
    } catch (error) {
      if (!done) await handle.close().catch(() => undefined)
      await rm(temporary, { force: true })
      throw error
    }
  }

  /**
   * Writes many files in the threads of a pool, in the order given, and yields them as they are done. One whose bytes
   * cannot be had that way, or are wrong there, is written from `read`. Throws what `writeFile` throws.
   */
  async *writeFiles(
    batches: AsyncIterable<readonly FileToWrite[]>,
    { pool, mtime, signal }: WriteFilesOptions,
  ): AsyncGenerator<readonly WrittenFile[]> {
    const threads = pool.width > 0
    const work = async (files: readonly FileToWrite[]) => {
      signal?.throwIfAborted()
      const placed =
        threads && files[0]!.extents !== null ? await this.#place(files, pool, mtime) : []
      const written: WrittenFile[] = []
      for (const [i, { entry, read }] of files.entries()) {
        const state = placed[i] ?? (await this.writeFile(entry, read(), signal, mtime))
        written.push({ entry, state })
      }
      return written
    }
    yield* parallel(jobsOf(batches, threads), Math.max(SLOW_AT_ONCE, pool.width), work)
  }

  async #place(files: readonly FileToWrite[], pool: TreePool, mtime: Date | null) {
    const jobs = files.map(({ entry, extents }) => ({
      path: this.#prepare(entry.path),
      size: entry.size,
      blake3: entry.blake3,
      mode: modeOf(entry),
      extents: extents ?? [],
    }))
    enterPhase('place')
    return await pool.place(jobs, mtime).catch((error: NodeJS.ErrnoException) => {
      throw placeError(error, (error as { dest?: string }).dest ?? '')
    })
  }

  async writeLink(
    entry: Extract<IndexEntry, { type: 'link' }>,
    mtime: Date | null = null,
  ): Promise<void> {
    const fault = linkFault(entry.path, entry.target)
    if (fault)
      fail('LINK_UNSAFE', `the link "${entry.path}" ${fault}`, { data: { path: entry.path } })
    const path = this.#prepare(entry.path)
    const temporary = temporaryName(path)
    await symlink(entry.target, temporary)
    if (mtime) await lutimes(temporary, mtime, mtime)
    await this.#replace(temporary, path)
  }

  writeFolder(path: string): void {
    assertArchivePath(path)
    this.#folder(path)
  }

  /** Checks the path and makes the folders above it. Returns where it lies on disk. */
  #prepare(path: string): string {
    assertArchivePath(path)
    this.#folder(dirname(path))
    return join(this.root, path)
  }

  async #replace(temporary: string, path: string): Promise<void> {
    enterPhase('rename')
    await rename(temporary, path).catch((error: NodeJS.ErrnoException) => {
      throw placeError(error, path)
    })
  }

  /** Makes a folder and all above it, refusing to walk through links. */
  #folder(path: string): void {
    if (this.#folders.has(path)) return
    if (path === '.') mkdirSync(this.root, { recursive: true, mode: 0o755 })
    else {
      this.#folder(dirname(path))
      makeFolder(join(this.root, path), path)
    }
    this.#folders.add(path)
  }
}

/** Files of a release for `writeFiles`, with the places of their bytes where the source knows them. */
export async function* filesToWrite(
  source: ReleaseSource,
  files: readonly FileEntry[],
  place: (file: FileEntry) => FileEntry,
  signal?: AbortSignal,
): AsyncGenerator<readonly FileToWrite[]> {
  if (files.length === 0) return
  const unlocated = [files.map(file => ({ file, extents: null }))]
  for await (const batch of source.extents?.(files, signal) ?? unlocated)
    yield batch.map(({ file, extents }) => ({
      entry: place(file),
      extents,
      read: () => source.read(file, signal),
    }))
}

function makeFolder(full: string, path: string): void {
  try {
    mkdirSync(full, { mode: 0o755 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const stats = lstatSync(full)
  if (!stats.isDirectory())
    fail(
      'PATH_UNSAFE',
      `"${full}" is a ${stats.isSymbolicLink() ? 'link' : 'file'} where a folder must be`,
      { hints: ['move it away, then repeat the command'], data: { path } },
    )
  if ((stats.mode & 0o777) !== 0o755) chmodSync(full, 0o755)
}

const modeOf = (entry: FileEntry) => (entry.executable ? 0o755 : 0o644)

/** A folder that stands where a file must go is the person's: told with words. */
function placeError(error: NodeJS.ErrnoException, path: string): Error {
  if (!FOLDER_THERE.has(error.code ?? '')) return error
  return new ReproError('TARGET_CHANGED', `"${path}" is a folder where a file must go`, {
    hints: ['move it away, then repeat the command'],
    cause: error,
  })
}

/** Files with extents many at a time, the others each alone. */
async function* jobsOf(
  batches: AsyncIterable<readonly FileToWrite[]>,
  threads: boolean,
): AsyncGenerator<readonly FileToWrite[]> {
  for await (const batch of batches) {
    const placeable = threads ? batch.filter(file => file.extents !== null) : []
    yield* cutJobs(placeable, file => file.entry.size)
    for (const file of batch) if (!threads || file.extents === null) yield [file]
  }
}

async function writeWhole(
  handle: import('node:fs/promises').FileHandle,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const { bytesWritten } = await handle.write(
      bytes,
      written,
      bytes.length - written,
      position + written,
    )
    written += bytesWritten
  }
}

function mismatch(entry: FileEntry, what: string): never {
  fail('HASH_MISMATCH', `"${entry.path}" ${what}`, {
    hints: ['the copy is damaged or dishonest: nothing of it was used; try another peer'],
    data: { path: entry.path },
  })
}
