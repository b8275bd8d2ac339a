import { type FileHandle, mkdir, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { storeError } from '../store-errors.ts'

const FILE_BYTES = 1024 ** 3
/** The kernel takes at most this many buffers, and less than 2 GiB, in one call. */
const BUFFERS_A_CALL = 1024
const BYTES_A_CALL = 1024 ** 3
/** Files are open until they are synced; with so many full ones nobody's `sync` is waited for. */
const UNSYNCED_FILES = 16

/** Where appended buffers lie, one after the other. */
export interface Appended {
  readonly id: number
  readonly offset: number
}

/** Appends to the newest of the block files; one append at a time, in order of the calls. */
export class BlockWriter {
  readonly #folder: string
  readonly #fileBytes: number
  #newest: number
  #handle: FileHandle | null = null
  #end = 0
  #rolled = false
  #last: Promise<unknown> = Promise.resolve()
  readonly #unsynced = new Map<number, FileHandle>()
  #folderChanged = false
  /** Why bytes could not be made durable: the kernel may have dropped them, and says so only once. */
  #lost: { readonly error: unknown } | null = null

  private constructor(folder: string, newest: number, fileBytes: number) {
    this.#folder = folder
    this.#newest = newest
    this.#fileBytes = fileBytes
  }

  static async open(folder: string, fileBytes = FILE_BYTES): Promise<BlockWriter> {
    const ids = await listBlockFiles(folder)
    return new BlockWriter(folder, Math.max(0, ...ids), fileBytes)
  }

  /** The file that the next append goes to, or a newer one. */
  get newest(): number {
    return this.#newest
  }

  /**
   * Resolves when the bytes are written (not yet durable). After a failure nothing of them counts.
   * Throws DISK_FULL or WRITE_FAILED, as `sync` does.
   */
  append(buffers: readonly Uint8Array[]): Promise<Appended> {
    return this.#queue(() => this.#append(buffers))
  }

  /** Lets the next append begin a new file. */
  roll(): Promise<void> {
    return this.#queue(() => this.#roll())
  }

  /** All bytes appended before are durable, and so are the names of their files. After a failure nothing is written any more. */
  sync(): Promise<void> {
    return this.#queue(() => this.#sync())
  }

  close(): Promise<void> {
    return this.#queue(async () => {
      await this.#roll()
      for (const handle of this.#unsynced.values()) await handle.close()
      this.#unsynced.clear()
    })
  }

  #queue<T>(work: () => Promise<T>): Promise<T> {
    const run = () => work().catch(this.#cannotWrite)
    const result = this.#last.then(run, run)
    this.#last = result.catch(() => undefined)
    return result
  }

  readonly #cannotWrite = (error: unknown): never => {
    throw storeError(error, this.#folder, this.#folder)
  }

  async #append(buffers: readonly Uint8Array[]): Promise<Appended> {
    if (this.#lost !== null) throw this.#lost.error
    if (this.#handle !== null && this.#end >= this.#fileBytes) await this.#roll()
    const handle = this.#handle ?? (await this.#open())
    this.#unsynced.set(this.#newest, handle)
    const offset = this.#end
    try {
      this.#end = await writeAll(handle, buffers, offset)
    } catch (error) {
      await handle.truncate(offset).catch(() => undefined)
      throw error
    }
    return { id: this.#newest, offset }
  }

  async #open(): Promise<FileHandle> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    const handle = await this.#openNewest()
    this.#handle = handle
    this.#folderChanged = true
    return handle
  }

  /** The file that was newest at open goes on while it has room. */
  async #openNewest(): Promise<FileHandle> {
    if (this.#newest > 0 && !this.#rolled) {
      const handle = await open(blockFile(this.#folder, this.#newest), 'r+')
      const { size } = await handle.stat()
      if (size < this.#fileBytes) {
        this.#end = size
        return handle
      }
      await handle.close()
    }
    this.#rolled = false
    const handle = await open(blockFile(this.#folder, this.#newest + 1), 'wx', 0o600)
    this.#newest++
    this.#end = 0
    return handle
  }

  async #roll(): Promise<void> {
    const handle = this.#handle
    this.#handle = null
    this.#rolled = true
    if (handle !== null && !this.#unsynced.has(this.#newest)) await handle.close()
    if (this.#lost === null && this.#unsynced.size >= UNSYNCED_FILES) await this.#sync()
  }

  async #sync(): Promise<void> {
    if (this.#lost !== null) throw this.#lost.error
    for (const [id, handle] of this.#unsynced) {
      await handle.datasync().catch((error: unknown) => {
        this.#lost = { error }
        throw error
      })
      this.#unsynced.delete(id)
      if (handle !== this.#handle) await handle.close()
    }
    if (!this.#folderChanged) return
    for (const folder of [this.#folder, join(this.#folder, '..')]) await syncFolder(folder)
    this.#folderChanged = false
  }
}

export function blockFile(folder: string, id: number): string {
  return join(folder, `${id}.blk`)
}

/** The ids of the block files in `folder`, smallest first. */
export async function listBlockFiles(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names
    .map(name => Number(/^([1-9]\d{0,8})\.blk$/.exec(name)?.[1] ?? 0))
    .filter(id => id > 0)
    .sort((a, b) => a - b)
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Writes all of `buffers` from `position` on; returns the position after them. */
async function writeAll(
  handle: FileHandle,
  buffers: readonly Uint8Array[],
  position: number,
): Promise<number> {
  let rest = [...buffers]
  let at = position
  while (rest.length > 0) {
    const now = firstCall(rest)
    const { bytesWritten } = await handle.writev(now, at)
    if (bytesWritten === 0) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
    at += bytesWritten
    rest = withoutFirst(rest, bytesWritten)
  }
  return at
}

function firstCall(buffers: readonly Uint8Array[]): Uint8Array[] {
  let bytes = 0
  let count = 0
  while (count < Math.min(buffers.length, BUFFERS_A_CALL)) {
    bytes += buffers[count]!.length
    if (count > 0 && bytes > BYTES_A_CALL) break
    count++
  }
  return buffers.slice(0, count)
}

function withoutFirst(buffers: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes
  let index = 0
  while (index < buffers.length && left >= buffers[index]!.length) left -= buffers[index++]!.length
  const rest = buffers.slice(index)
  if (left > 0) rest[0] = rest[0]!.subarray(left)
  return rest
}
