import { constants } from 'node:fs'
import { chmod, lstat, mkdir, open, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { FileEntry, IndexEntry } from '../../schemas/index.ts'
import { assertArchivePath, linkFault } from '../core/archive-path.ts'
import { fail, ReproError } from '../core/errors.ts'
import { temporaryName } from './atomic-file.ts'
import { createBlake3 } from './blake3.ts'
import { formatFileState } from './file-state.ts'
import { enterPhase } from './phase.ts'

/** How systems say that a file was to take the place of a folder. */
const FOLDER_THERE: ReadonlySet<string> = new Set(['EISDIR', 'EEXIST', 'ENOTEMPTY'])

/**
 * Writes entries of a content index into a folder. Whatever a stranger's index says, nothing is written
 * outside of `root`: paths are checked, no folder on the way may be a link, and a file appears under its
 * name only when its bytes had the hash the index gives.
 */
export class TreeWriter {
  readonly root: string
  readonly #folders = new Map<string, Promise<void>>()

  constructor(root: string) {
    this.root = root
  }

  /** Writes a file from its bytes. Returns its file state. Throws HASH_MISMATCH, PATH_UNSAFE. */
  async writeFile(
    entry: FileEntry,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<string> {
    const path = await this.#prepare(entry.path)
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
      await handle.chmod(entry.executable ? 0o755 : 0o644)
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

  async writeLink(entry: Extract<IndexEntry, { type: 'link' }>): Promise<void> {
    const fault = linkFault(entry.path, entry.target)
    if (fault)
      fail('LINK_UNSAFE', `the link "${entry.path}" ${fault}`, { data: { path: entry.path } })
    const path = await this.#prepare(entry.path)
    const temporary = temporaryName(path)
    await symlink(entry.target, temporary)
    await this.#replace(temporary, path)
  }

  async writeFolder(path: string): Promise<void> {
    assertArchivePath(path)
    await this.#folder(path)
  }

  /** Checks the path and makes the folders above it. Returns where it lies on disk. */
  async #prepare(path: string): Promise<string> {
    assertArchivePath(path)
    const parent = dirname(path)
    await this.#folder(parent)
    return join(this.root, path)
  }

  async #replace(temporary: string, path: string): Promise<void> {
    enterPhase('rename')
    await rename(temporary, path).catch((error: NodeJS.ErrnoException) => {
      if (!FOLDER_THERE.has(error.code ?? '')) throw error
      fail('TARGET_CHANGED', `"${path}" is a folder where a file must go`, {
        hints: ['move it away, then repeat the command'],
      })
    })
  }

  /** Makes a folder and all above it, refusing to walk through links. */
  async #folder(path: string): Promise<void> {
    let made = this.#folders.get(path)
    if (!made) {
      made = this.#makeFolder(path)
      this.#folders.set(path, made)
    }
    await made
  }

  async #makeFolder(path: string): Promise<void> {
    if (path === '.') {
      await mkdir(this.root, { recursive: true, mode: 0o755 })
      return
    }
    await this.#folder(dirname(path))
    const full = join(this.root, path)
    await mkdir(full, { mode: 0o755 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    const stats = await lstat(full)
    if (!stats.isDirectory()) {
      throw new ReproError(
        'PATH_UNSAFE',
        `"${full}" is a ${stats.isSymbolicLink() ? 'link' : 'file'} where a folder must be`,
        { hints: ['move it away, then repeat the command'], data: { path } },
      )
    }
    await chmod(full, 0o755)
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
