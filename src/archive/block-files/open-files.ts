import { close, constants, open, read } from 'node:fs'
import { promisify } from 'node:util'

const openFile = promisify(open)
const closeFile = promisify(close)
const readFile = promisify(read)

/** What is no file must not hold us up. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

interface OpenFile {
  readonly fd: number
  users: number
  /** No longer in the table; closed by its last user. */
  dropped: boolean
}

/** Files that are open for reading, at most `limit` of them and those in use. Links are not followed. */
export class OpenFiles {
  readonly #limit: number
  /** The least recently used first. */
  readonly #files = new Map<string, Promise<OpenFile>>()
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
      const bytes = Buffer.allocUnsafe(length)
      let done = 0
      while (done < length) {
        const { bytesRead } = await readFile(file.fd, bytes, done, length - done, offset + done)
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
    const files = await Promise.allSettled(this.#files.values())
    this.#files.clear()
    for (const file of files) if (file.status === 'fulfilled') await this.#drop(file.value)
  }

  async #take(path: string): Promise<OpenFile> {
    let opening = this.#files.get(path)
    this.#files.delete(path)
    if (opening === undefined) {
      opening = openFile(path, FLAGS).then(fd => ({
        fd,
        users: 0,
        dropped: false,
      }))
      opening.catch(() => this.#files.delete(path))
    }
    this.#files.set(path, opening)
    const file = await opening
    file.users++
    await this.#shrink()
    return file
  }

  async #release(file: OpenFile): Promise<void> {
    file.users--
    if (file.dropped && file.users === 0) await closeFile(file.fd)
    await this.#shrink()
  }

  async #drop(file: OpenFile): Promise<void> {
    file.dropped = true
    if (file.users === 0) await closeFile(file.fd)
  }

  async #shrink(): Promise<void> {
    for (const [path, opening] of this.#files) {
      if (this.#files.size <= this.#limit) return
      const file = await opening.catch(() => null)
      if (file === null || file.users > 0 || this.#files.get(path) !== opening) continue
      this.#files.delete(path)
      await this.#drop(file)
    }
  }
}
