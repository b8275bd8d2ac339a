import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { asReproError } from '../core/errors.ts'
import { writeFileRenamed } from './atomic-file.ts'
import { blake3 } from './blake3.ts'
import { settledBy } from './file-stamps.ts'

const MAGIC = 'repro stat cache 1\n'
const HASH_HEX = 64
const HASH_BYTES = 32
const MODE_BYTES = 4
/** Of each entry: whether its hash is known, and whether it bears the mark. */
const HASHED = 1
const MARKED = 2
const MAX_FILE_BYTES = 1 << 29
/** Folders that are remembered; the one that was used least lately goes first. */
const MAX_FOLDERS = 64
const MAX_BYTES = 1 << 28
const TOUCH_AFTER_MS = 3600_000

const header = z.strictObject({
  folder: z.string(),
  /** The clock when it was written: a clock that stands before that was set back. */
  writtenMs: z.number(),
  marks: z.string(),
  memo: z.string().nullable(),
  count: z.number().int().nonnegative(),
  pathBytes: z.number().int().nonnegative(),
  stateBytes: z.number().int().nonnegative(),
})

/** A file as it was looked at before anything was read of it. */
export interface StatFile {
  readonly path: string
  /** `formatFileState`. */
  readonly state: string
  readonly mode: number
}

interface Known {
  readonly entries: ReadonlyMap<string, Entry>
  readonly memo: string | null
}

interface Entry {
  readonly state: string
  readonly mode: number
  readonly blake3: string | null
  readonly marked: boolean
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
    const known = options.rehash ? null : await readKnown(fileOf(cache, folder), folder, options)
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
    const paths = Buffer.from(kept.map(([path]) => path).join('\n'))
    const states = Buffer.from(kept.map(([, { state }]) => state).join('\n'), 'latin1')
    const flags = Buffer.alloc(kept.length)
    const modes = Buffer.alloc(kept.length * MODE_BYTES)
    const hashes = Buffer.alloc(kept.length * HASH_BYTES)
    kept.forEach(([, { mode, blake3, marked }], i) => {
      flags[i] = (blake3 === null ? 0 : HASHED) | (marked ? MARKED : 0)
      modes.writeUInt32LE(mode, i * MODE_BYTES)
      if (blake3 !== null) hashes.write(blake3, i * HASH_BYTES, 'hex')
    })
    const head = {
      folder: this.#folder,
      writtenMs: this.#now().getTime(),
      marks: this.#marks,
      memo,
      count: kept.length,
      pathBytes: paths.length,
      stateBytes: states.length,
    } satisfies z.infer<typeof header>
    const start = Buffer.alloc(MAGIC.length + HASH_HEX + 1)
    const line = Buffer.from(`${JSON.stringify(head)}\n`)
    const whole = Buffer.concat([start, line, paths, states, flags, modes, hashes])
    whole.write(`${MAGIC}${blake3(whole.subarray(start.length))}\n`, 'latin1')
    const parent = join(this.#file, '..')
    await mkdir(parent, { recursive: true, mode: 0o700 })
    await writeFileRenamed(this.#file, whole, 0o600)
    await dropOldest(parent)
  }
}

const fileOf = (cache: string, folder: string) => join(cache, 'stat', blake3(folder))

async function readKnown(
  path: string,
  folder: string,
  { marks = '', now = () => new Date() }: StatCacheOptions,
): Promise<Known | null> {
  const bytes = await readOwn(path)
  const start = MAGIC.length + HASH_HEX + 1
  if (bytes === null || bytes.length < start) return null
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return null
  const body = bytes.subarray(start)
  if (bytes.toString('latin1', MAGIC.length, start - 1) !== blake3(body)) return null
  const end = body.indexOf('\n')
  const head = header.safeParse(parseJson(body.toString('utf8', 0, Math.max(end, 0)))).data
  if (!head || head.folder !== folder || head.writtenMs > now().getTime()) return null
  const entries = entriesOf(body.subarray(end + 1), head, head.marks === marks)
  return entries && { entries, memo: head.memo }
}

function entriesOf(
  body: Buffer,
  { count, pathBytes, stateBytes }: z.infer<typeof header>,
  marksCount: boolean,
): Map<string, Entry> | null {
  const flagsAt = pathBytes + stateBytes
  const modesAt = flagsAt + count
  const hashesAt = modesAt + count * MODE_BYTES
  if (body.length !== hashesAt + count * HASH_BYTES) return null
  const entries = new Map<string, Entry>()
  if (count === 0) return entries
  const paths = body.toString('utf8', 0, pathBytes).split('\n')
  const states = body.toString('latin1', pathBytes, flagsAt).split('\n')
  const hashes = body.toString('hex', hashesAt)
  if (paths.length !== count || states.length !== count) return null
  for (let i = 0; i < count; i++) {
    const flags = body[flagsAt + i]!
    entries.set(paths[i]!, {
      state: states[i]!,
      mode: body.readUInt32LE(modesAt + i * MODE_BYTES),
      blake3: flags & HASHED ? hashes.slice(i * HASH_HEX, (i + 1) * HASH_HEX) : null,
      marked: marksCount && (flags & MARKED) !== 0,
    })
  }
  return entries
}

/** The bytes of a file that only this user could have written; null for any other, and for what is not there. */
async function readOwn(path: string): Promise<Buffer | null> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const handle = await open(path, flags).catch(() => null)
  if (handle === null) return null
  try {
    const stats = await handle.stat()
    const own = stats.isFile() && stats.uid === process.geteuid!() && (stats.mode & 0o077) === 0
    return own && stats.size <= MAX_FILE_BYTES ? await handle.readFile() : null
  } catch {
    return null
  } finally {
    await handle.close()
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

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
