import { type Dirent, lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { FileEntry, IndexEntry } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import { formatFileState } from '../system/file-state.ts'
import { parallel } from '../system/parallel.ts'
import type { Checked } from '../system/tree-check.ts'
import type { TreePool } from '../system/tree-pool.ts'
import { FileNotes, isOfDate, sameWriting } from './file-notes.ts'

/** What stands in a folder where an entry belongs: nothing, just that, or something else (and what). */
export type LocalState =
  | { readonly is: 'missing' }
  | { readonly is: 'equal'; readonly state?: string }
  | { readonly is: 'other'; readonly what: string }

export interface Compared {
  readonly entry: IndexEntry
  readonly local: LocalState
}

/** A job of a thread has so many files, or so many bytes. */
const JOB_FILES = 256
const JOB_BYTES = 8 << 20
const NOTHING: ReadonlyMap<string, Dirent> = new Map()

/** Compares entries of an index with what lies in a folder. Each folder is listed once: what changes meanwhile is not seen. */
export class LocalFiles {
  readonly #folder: string
  readonly #pool: TreePool
  readonly #notes: FileNotes
  readonly #rehash: boolean
  readonly #listed = new Map<string, ReadonlyMap<string, Dirent> | 'link'>()

  /**
   * @param notes files that need not be read while they are in the state noted; with `rehash` they are read all the
   * same, and the notes only tell what nobody wrote to.
   */
  constructor(folder: string, pool: TreePool, notes = new FileNotes(), rehash = false) {
    this.#folder = folder
    this.#pool = pool
    this.#notes = notes
    this.#rehash = rehash
  }

  /**
   * Compares entries as they come, reading and hashing the files; results come in any order. With `states` equal
   * files come with the state they were hashed in. Throws SOURCE_CHANGED for a file that changes while it is read.
   */
  async *compare(
    entries: AsyncIterable<IndexEntry> | Iterable<IndexEntry>,
    { states = false, signal }: { readonly states?: boolean; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<readonly Compared[]> {
    const width = Math.max(8, this.#pool.width)
    yield* parallel(this.#jobs(entries), width, async ({ known, files }) => {
      signal?.throwIfAborted()
      if (files.length === 0) return known
      const wanted = files.map(file => ({
        path: join(this.#folder, file.path),
        size: file.size,
        blake3: file.blake3,
        executable: file.executable === true,
      }))
      const found = await this.#pool.check(wanted, states, signal)
      return [...known, ...files.map((entry, i) => ({ entry, local: localOf(entry, found[i]!) }))]
    })
  }

  /** As `compare`, for one. */
  async compareOne(entry: IndexEntry, signal?: AbortSignal): Promise<LocalState> {
    for await (const [found] of this.compare([entry], signal ? { signal } : {})) return found!.local
    return { is: 'missing' }
  }

  /** Whether a regular file is still as we wrote it but for what a crash or a bad disk did to its bytes. */
  isOurWriting(path: string, date: string | null): boolean {
    if (this.isBehindLink(path)) return false
    const stats = lstatSync(join(this.#folder, path), { bigint: true, throwIfNoEntry: false })
    if (!stats?.isFile()) return false
    const note = this.#notes.get(path)
    if (note && sameWriting(note.state, formatFileState(stats))) return true
    return date !== null && isOfDate(stats.mtimeNs, date)
  }

  /** Whether the way to a path leads through a link: what lies there is not in this folder, and never ours. */
  isBehindLink(path: string): boolean {
    return this.#list(dirname(path)) === 'link'
  }

  /** Every path below the folder, sorted in each; `skip` leaves subtrees out. No link is followed. */
  *walk(
    skip: (path: string) => boolean = () => false,
    below = '.',
  ): Generator<{ readonly path: string; readonly folder: boolean }> {
    const list = this.#list(below)
    if (list === 'link') return
    for (const name of [...list.keys()].sort()) {
      const path = below === '.' ? name : `${below}/${name}`
      if (skip(path)) continue
      const folder = list.get(name)!.isDirectory()
      yield { path, folder }
      if (folder) yield* this.walk(skip, path)
    }
  }

  /** Cuts entries into jobs: what is known without reading, and files to read. */
  async *#jobs(entries: AsyncIterable<IndexEntry> | Iterable<IndexEntry>) {
    let known: Compared[] = []
    let files: FileEntry[] = []
    let bytes = 0
    for await (const entry of entries) {
      const local = this.#look(entry)
      if (local === null) files.push(entry as FileEntry)
      else known.push({ entry, local })
      bytes += local === null ? (entry as FileEntry).size : 0
      if (files.length < JOB_FILES && known.length < JOB_FILES && bytes < JOB_BYTES) continue
      yield { known, files }
      known = []
      files = []
      bytes = 0
    }
    yield { known, files }
  }

  /** What can be said without reading a file; null when its bytes must be read. */
  #look(entry: IndexEntry): LocalState | null {
    const above = this.#list(dirname(entry.path))
    if (above === 'link') return other('a folder above it is a link')
    const there = above.get(entry.path.slice(entry.path.lastIndexOf('/') + 1))
    if (!there) return { is: 'missing' }
    if (entry.type === 'folder')
      return there.isDirectory() ? { is: 'equal' } : other(`is ${kindOf(there)}, expected a folder`)
    if (entry.type === 'link') {
      if (!there.isSymbolicLink()) return other(`is ${kindOf(there)}, expected a link`)
      const target = readlinkSync(join(this.#folder, entry.path))
      return target === entry.target
        ? { is: 'equal' }
        : other(`points to "${target}", expected "${entry.target}"`)
    }
    if (!there.isFile()) return other(`is ${kindOf(there)}, expected a file`)
    return this.#asNoted(entry)
  }

  #asNoted(entry: FileEntry): LocalState | null {
    const note = this.#notes.get(entry.path)
    if (this.#rehash || note?.blake3 !== entry.blake3) return null
    const path = join(this.#folder, entry.path)
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false })
    if (!stats || formatFileState(stats) !== note.state) return null
    const executable = (Number(stats.mode) & 0o100) !== 0
    return executable === (entry.executable === true) ? { is: 'equal', state: note.state } : null
  }

  /** What lies in a folder of the tree; nothing when it is none, `link` when the way to it leads through one. */
  #list(path: string): ReadonlyMap<string, Dirent> | 'link' {
    const known = this.#listed.get(path)
    if (known) return known
    let list: ReadonlyMap<string, Dirent> | 'link' = NOTHING
    if (path === '.') list = listFolder(this.#folder)
    else {
      const above = this.#list(dirname(path))
      const there = above === 'link' ? undefined : above.get(path.slice(path.lastIndexOf('/') + 1))
      if (above === 'link' || there?.isSymbolicLink()) list = 'link'
      else if (there?.isDirectory()) list = listFolder(join(this.#folder, path))
    }
    this.#listed.set(path, list)
    return list
  }
}

function listFolder(path: string): ReadonlyMap<string, Dirent> {
  try {
    return new Map(readdirSync(path, { withFileTypes: true }).map(item => [item.name, item]))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return NOTHING
    throw error
  }
}

const other = (what: string): LocalState => ({ is: 'other', what })

function localOf(entry: FileEntry, found: Checked): LocalState {
  switch (found.is) {
    case 'equal':
    case 'missing':
      return found as LocalState
    case 'link':
      return other('is a link, expected a file')
    case 'folder':
      return other('is a folder, expected a file')
    case 'special':
      return other('is a device, pipe or socket, expected a file')
    case 'size':
      return other(`has ${found.found} bytes, expected ${entry.size}`)
    case 'mode':
      return other(
        entry.executable ? 'is not executable, expected to be' : 'is executable, expected not',
      )
    case 'hash':
      return other(`has the hash ${found.found}, expected ${entry.blake3}`)
    case 'moving':
      return fail('SOURCE_CHANGED', `"${entry.path}" changed while it was being hashed`, {
        hints: ['wait until nothing writes to it, then repeat the command'],
        data: { path: entry.path },
      })
  }
}

function kindOf(item: Dirent): string {
  if (item.isDirectory()) return 'a folder'
  if (item.isSymbolicLink()) return 'a link'
  return item.isFile() ? 'a file' : 'a device, pipe or socket'
}
