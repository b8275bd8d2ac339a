import {
  type BigIntStats,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
} from 'node:fs'
import { lstat, open, readdir, readlink } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { parallel } from './parallel.ts'

/** A local file system answers from memory, one after another, faster than a thread could be asked. */
const SLOW_MS = 0.25
/** So many answers are looked at together for their pace, and so often in a row they must be slow. */
const BATCH = 64
const SLOW_BATCHES = 2
/** After so long whatever else waits has its turn. */
const BREATH_MS = 10
/** A slow one is asked so much at a time. */
const AT_ONCE = 32
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** What lies at a path: its stats; of a link, its target as well; or why it could not be looked at. */
export interface Looked {
  readonly path: string
  readonly absolute: string
  readonly stats?: BigIntStats
  readonly target?: Buffer
  readonly error?: unknown
}

/**
 * Lists folders below a root and looks at what lies in them, without following links: directly where the file system
 * answers at once, much at a time where it takes long to answer, as those of networks do.
 */
export class FolderReader {
  readonly #prefix: string
  readonly #slowMs: number
  #paced = { count: 0, ms: 0 }
  #slowBatches = 0
  #breathedMs = performance.now()

  /** @param slowMs so long an answer may take on average, where much at a time would be slower. */
  constructor(root: string, slowMs = SLOW_MS) {
    this.#slowMs = slowMs
    this.#prefix = root.endsWith('/') ? root : `${root}/`
  }

  /** The names in a folder; those that are no UTF-8 as bytes. Throws what the system says. */
  async names(folder: string): Promise<(string | Buffer)[]> {
    const path = `${this.#prefix}${folder}`
    const names = this.#slowBatches > 0 ? await readdir(path) : readdirSync(path)
    if (!names.some(name => name.includes('\ufffd'))) return names
    return (await readdir(path, { encoding: 'buffer' })).map(name => {
      const text = name.toString('utf8')
      return Buffer.from(text).equals(name) ? text : name
    })
  }

  /**
   * Looks at each path, and gives what was found in parts. A regular file that not everybody may read is opened to see
   * whether it can be read.
   */
  async *look(paths: readonly string[], signal?: AbortSignal): AsyncGenerator<readonly Looked[]> {
    for (let at = 0; at < paths.length; at += BATCH) {
      signal?.throwIfAborted()
      if (this.#slowBatches >= SLOW_BATCHES) {
        for await (const one of parallel(paths.slice(at), AT_ONCE, path => this.#lookLater(path)))
          yield [one]
        return
      }
      const start = performance.now()
      const looked = paths.slice(at, at + BATCH).map(path => this.#lookNow(path))
      const end = performance.now()
      this.#pace(looked.length, end - start)
      yield looked
      if (end - this.#breathedMs < BREATH_MS) continue
      await setImmediate()
      this.#breathedMs = performance.now()
    }
  }

  #pace(count: number, ms: number): void {
    this.#paced.count += count
    this.#paced.ms += ms
    if (this.#paced.count < BATCH) return
    this.#slowBatches =
      this.#paced.ms > this.#slowMs * this.#paced.count ? this.#slowBatches + 1 : 0
    this.#paced = { count: 0, ms: 0 }
  }

  #lookNow(path: string): Looked {
    const absolute = `${this.#prefix}${path}`
    try {
      const stats = lstatSync(absolute, { bigint: true })
      if (stats.isSymbolicLink())
        return { path, absolute, stats, target: readlinkSync(absolute, 'buffer') }
      if (needsTrial(stats)) closeSync(openSync(absolute, READ_FLAGS))
      return { path, absolute, stats }
    } catch (error) {
      return { path, absolute, error }
    }
  }

  async #lookLater(path: string): Promise<Looked> {
    const absolute = `${this.#prefix}${path}`
    try {
      const stats = await lstat(absolute, { bigint: true })
      if (stats.isSymbolicLink())
        return { path, absolute, stats, target: await readlink(absolute, 'buffer') }
      // `access` would ask for the real user, not for the one who reads.
      if (needsTrial(stats)) await (await open(absolute, READ_FLAGS)).close()
      return { path, absolute, stats }
    } catch (error) {
      return { path, absolute, error }
    }
  }
}

/** What everybody may read needs no trial. */
function needsTrial(stats: BigIntStats): boolean {
  return stats.isFile() && (Number(stats.mode) & 0o444) !== 0o444
}
