import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** So many bytes of a name are kept: with the rest it stays under 255 bytes, what a file system takes. */
const NAME_BYTES = 100

/** A hidden name beside `path` that no other process uses. */
export function temporaryName(path: string): string {
  return join(
    dirname(path),
    `.${beginningOf(basename(path))}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`,
  )
}

/**
 * Writes a whole file so that a crash leaves the old content or the new one: temporary name, fsync, rename, fsync of the folder.
 * Makes missing folders.
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  mode = 0o644,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeAndRename(path, data, mode, handle => handle.sync())
  await syncFolder(dirname(path))
}

/**
 * Writes a whole file under a temporary name and renames it: no other process sees a half. It is not durable; what
 * reads it after a crash must notice by its hash. The folder must be there.
 */
export async function writeFileRenamed(
  path: string,
  data: string | Uint8Array,
  mode = 0o644,
): Promise<void> {
  await writeAndRename(path, data, mode, async () => undefined)
}

async function writeAndRename(
  path: string,
  data: string | Uint8Array,
  mode: number,
  settle: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const temporary = temporaryName(path)
  try {
    const handle = await open(temporary, 'wx', mode)
    try {
      await handle.writeFile(data)
      await settle(handle)
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** Makes a rename in `folder` durable; file systems that cannot sync a folder are passed over. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null)
  if (!handle) return
  try {
    await handle.sync().catch(() => undefined)
  } finally {
    await handle.close()
  }
}

/** As many whole characters as fit. */
function beginningOf(name: string): string {
  const room = new Uint8Array(NAME_BYTES)
  return name.slice(0, new TextEncoder().encodeInto(name, room).read)
}
