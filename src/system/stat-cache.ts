import { lstat, mkdir, readdir, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { asReproError } from '../core/errors.ts'
import { writeFileRenamed } from './atomic-file.ts'
import { blake3 } from './blake3.ts'
import { settledBy } from './file-stamps.ts'
import { type Entry, encodeKnown, type Known, readKnown } from './stat-cache-file.ts'

/** Folders that are remembered; the one that was used least lately goes first. */
const MAX_FOLDERS = 64
const MAX_BYTES = 1 << 28
const TOUCH_AFTER_MS = 3600_000

/** A file as it was looked at before anything was read of it. */
export interface StatFile {
  readonly path: string
  /** `formatFileState`. */
  readonly state: string
  readonly mode: number
}

export interface StatCacheOptions {
  /** Believes nothing that was noted before, and notes anew. */
  readonly rehash?: boolean
  /** What a mark means; marks made under another meaning count for nothing. */
  readonly marks?: string
  /** The clock, for tests. */
  readonly now?: () => Date
}

/**
 * What is known of the files of one folder from an earlier look: their BLAKE3, and a mark ("looked through") for as long
 * as device, inode, size, mtime, ctime and mode are what they were. A convenience that can be deleted at any time: one
 * that is damaged, that somebody else could have written, or that was written later than the clock says, is empty.
 */
export class StatCache {
  readonly #file: string
  readonly #folder: string
  readonly #marks: string
  readonly #now: () => Date
  #before: ReadonlyMap<string, Entry>
  readonly #memo: string | null
  readonly #noted = new Map<string, Entry>()
  readonly #openedMs: number

  private constructor(
    cache: string,
    folder: string,
    { marks = '', now = () => new Date() }: StatCacheOptions,
    { entries, memo }: Known,
  ) {
    this.#file = fileOf(cache, folder)
    this.#folder = folder
    this.#marks = marks
    this.#now = now
    this.#before = entries
    this.#memo = memo
    this.#openedMs = now().getTime()
  }

  /**
   * What `<cache>/stat` knows of a folder (its real path). Open it before the folder is walked: what was changed later
   * than that is not noted. Never throws for what lies in the cache.
   */
  static async open(cache: string, folder: string, options: StatCacheOptions): Promise<StatCache> {
    const nowMs = (options.now?.() ?? new Date()).getTime()
    const known = options.rehash
      ? null
      : await readKnown(fileOf(cache, folder), folder, options.marks ?? '', nowMs)
    return new StatCache(cache, folder, options, known ?? { entries: new Map(), memo: null })
  }

  /** The BLAKE3 of an unchanged file, else null. */
  hashOf(file: StatFile): string | null {
    return this.#entry(file)?.blake3 ?? null
  }

  /** Whether an unchanged file bears the mark. */
  isMarked(file: StatFile): boolean {
    return this.#entry(file)?.marked === true
  }

  /** What was noted about `files` as a whole, when they are exactly those it was noted about, and unchanged. */
  memoOf(files: readonly StatFile[]): string | null {
    return this.#memo !== null && this.#isAsBefore(files) ? this.#memo : null
  }

  /** Notes what was found of a file that had this state before and after it was read. */
  note(file: StatFile, found: { readonly blake3?: string; readonly marked?: true }): void {
    const before = this.#entry(file)
    this.#noted.set(file.path, {
      state: file.state,
      mode: file.mode,
      blake3: found.blake3 ?? before?.blake3 ?? null,
      marked: found.marked ?? before?.marked ?? false,
    })
  }

  /**
   * Keeps what is known of `files`, and a memo about them as a whole (default: what it was), and forgets the rest. A file whose stamps are so
   * young that a change right after might have left them as they are is not kept, nor is the memo then. Gives why it
   * could not be written, or null.
   */
  async save(files: readonly StatFile[], memo = this.memoOf(files)): Promise<string | null> {
    try {
      if (memo === this.#memo && this.#isAsBefore(files)) await touch(this.#file)
      else await this.#write(...this.#kept(files, memo))
      return null
    } catch (error) {
      return asReproError(error).message
    }
  }

  /** Lets go of what it holds in memory; it knows nothing from then on. */
  close(): void {
    this.#before = new Map()
    this.#noted.clear()
  }

  #kept(files: readonly StatFile[], memo: string | null): [[string, Entry][], string | null] {
    const isSettled = settledBy(this.#folder, this.#openedMs)
    const kept: [string, Entry][] = []
    for (const file of files) {
      const entry = this.#entry(file)
      if (!entry) continue
      if (!this.#noted.has(file.path) || isSettled(file.state)) kept.push([file.path, entry])
    }
    return [kept, kept.length === files.length ? memo : null]
  }

  /** Whether these are exactly the files that were known, and nothing of them has to be noted. */
  #isAsBefore(files: readonly StatFile[]): boolean {
    if (this.#noted.size > 0 || files.length !== this.#before.size) return false
    return files.every(file => this.#entry(file) !== null)
  }

  #entry(file: StatFile): Entry | null {
    const entry = this.#noted.get(file.path) ?? this.#before.get(file.path)
    const same = entry?.mode === file.mode && entry.state === file.state
    return same ? entry : null
  }

  async #write(kept: readonly [string, Entry][], memo: string | null): Promise<void> {
    const about = {
      folder: this.#folder,
      writtenMs: this.#now().getTime(),
      marks: this.#marks,
      memo,
    }
    const whole = encodeKnown(kept, about)
    const parent = join(this.#file, '..')
    await mkdir(parent, { recursive: true, mode: 0o700 })
    await writeFileRenamed(this.#file, whole, 0o600)
    await dropOldest(parent)
  }
}

const fileOf = (cache: string, folder: string) => join(cache, 'stat', blake3(folder))

/** Says that it was of use, so that it is not the next to go. */
async function touch(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => null)
  if (stats && Date.now() - stats.mtimeMs > TOUCH_AFTER_MS)
    await utimes(path, new Date(), new Date())
}

async function dropOldest(parent: string): Promise<void> {
  const found = await Promise.all(
    (await readdir(parent)).map(async name => {
      const path = join(parent, name)
      const stats = await lstat(path).catch(() => null)
      return { path, size: stats?.size ?? 0, mtimeMs: stats?.mtimeMs ?? 0 }
    }),
  )
  found.sort((a, b) => b.mtimeMs - a.mtimeMs)
  let bytes = 0
  for (const [i, { path, size }] of found.entries()) {
    bytes += size
    if (i > 0 && (i >= MAX_FOLDERS || bytes > MAX_BYTES)) await rm(path, { force: true })
  }
}
