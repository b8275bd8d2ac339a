import { close, constants, open, read } from 'node:fs'
import { promisify } from 'node:util'

const openFile = promisify(open)
const closeFile = promisify(close)
const readFile = promisify(read)

/** What is no file must not hold us up. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

interface OpenFile {
  readonly fd: Promise<number>
  /** Counted from before it is open: nobody closes what another is about to read. */
  users: number
  /** No longer in the table; closed by its last user. */
  dropped: boolean
}

/** Files that are open for reading, at most `limit` of them and those in use. Links are not followed. */
export class OpenFiles {
  readonly #limit: number
  /** The least recently used first. */
  readonly #files = new Map<string, OpenFile>()
  readonly #held = new Map<string, OpenFile>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * `length` bytes at `offset`, or null where the file is shorter.
   * Throws what the file system says.
   */
  async read(path: string, offset: number, length: number): Promise<Buffer | null> {
    const file = await this.#take(path)
    try {
      const fd = await file.fd
      const bytes = Buffer.allocUnsafe(length)
      let done = 0
      while (done < length) {
        const { bytesRead } = await readFile(fd, bytes, done, length - done, offset + done)
        if (bytesRead === 0) return null
        done += bytesRead
      }
      return bytes
    } finally {
      await this.#release(file)
    }
  }

  /** Opens `path` and keeps it open until `drop` or `close`, so that its bytes outlive its name. */
  async hold(path: string): Promise<void> {
    if (this.#held.has(path)) return
    this.#held.set(path, await this.#take(path))
  }

  async drop(path: string): Promise<void> {
    const file = this.#held.get(path)
    if (file === undefined) return
    this.#held.delete(path)
    this.#files.delete(path)
    file.dropped = true
    await this.#release(file)
  }

  async close(): Promise<void> {
    for (const path of [...this.#held.keys()]) await this.drop(path)
    const files = [...this.#files.values()]
    this.#files.clear()
    for (const file of files) await this.#drop(file)
  }

  async #take(path: string): Promise<OpenFile> {
    const file = this.#files.get(path) ?? { fd: openFile(path, FLAGS), users: 0, dropped: false }
    file.users++
    this.#files.delete(path)
    this.#files.set(path, file)
    try {
      await file.fd
    } catch (error) {
      file.users--
      if (this.#files.get(path) === file) this.#files.delete(path)
      throw error
    }
    await this.#shrink()
    return file
  }

  async #release(file: OpenFile): Promise<void> {
    file.users--
    if (file.dropped && file.users === 0) await closeFile(await file.fd)
    await this.#shrink()
  }

  async #drop(file: OpenFile): Promise<void> {
    file.dropped = true
    if (file.users === 0) await closeFile(await file.fd)
  }

  async #shrink(): Promise<void> {
    for (const [path, file] of this.#files) {
      if (this.#files.size <= this.#limit) return
      if (file.users > 0) continue
      this.#files.delete(path)
      await this.#drop(file)
    }
  }
}
