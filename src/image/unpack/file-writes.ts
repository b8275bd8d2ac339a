import { constants, copyFileSync, linkSync, type PathLike } from 'node:fs'
import { open } from 'node:fs/promises'

const WIDTH = 16

/** Writes new small files side by side, at most WIDTH at once. */
export class FileWrites {
  readonly #running = new Set<Promise<void>>()
  #error: unknown = null

  /** Starts one; waits only when too many are under way. Throws what an earlier one met. */
  async add(path: PathLike, mode: number, mtime: number, bytes: Buffer): Promise<void> {
    while (this.#running.size >= WIDTH) await Promise.race(this.#running)
    this.#check()
    const write: Promise<void> = writeNewFile(path, mode, mtime, [bytes]).then(
      () => void this.#running.delete(write),
      error => {
        this.#running.delete(write)
        this.#error ??= error
      },
    )
    this.#running.add(write)
  }

  /** Waits for all. Throws what any of them met. */
  async settle(): Promise<void> {
    await Promise.all(this.#running)
    this.#check()
  }

  async close(): Promise<void> {
    await Promise.all(this.#running)
  }

  #check(): void {
    if (this.#error) throw this.#error
  }
}

/** Writes a file that must not be there yet, without following a link. */
export async function writeNewFile(
  path: PathLike,
  mode: number,
  mtime: number,
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
): Promise<void> {
  const handle = await open(
    path,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    mode,
  )
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; )
        at += (await handle.write(chunk, at, chunk.length - at)).bytesWritten
    }
    await handle.utimes(mtime, mtime)
  } finally {
    await handle.close()
  }
}

/** Hard links fail on some file systems, and between folders on AFS. */
export function linkOrCopy(from: PathLike, to: PathLike): void {
  try {
    linkSync(from, to)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EPERM' && code !== 'EXDEV' && code !== 'EMLINK' && code !== 'ENOTSUP') throw error
    copyFileSync(from, to)
  }
}
