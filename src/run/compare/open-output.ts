import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, lstat, open } from 'node:fs/promises'
import { join } from 'node:path'
import { assertArchivePath } from '../../core/archive-path.ts'

/** What lies at an output's path: never reached through a link, so never outside of the out folder. */
export type OpenedOutput =
  | { readonly kind: 'file'; readonly handle: FileHandle; readonly size: number }
  | { readonly kind: 'folder' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unexpected'; readonly message: string }

/**
 * Opens `path` below `folder` for reading, looking at every part of the way. The caller closes the handle.
 * Throws PATH_UNSAFE for a path that is no bundle path, READ_FAILED (errno) for a file that cannot be read.
 */
export async function openOutput(folder: string, path: string): Promise<OpenedOutput> {
  assertArchivePath(path)
  const parts = path.split('/')
  let at = folder
  for (const [i, part] of parts.entries()) {
    at = join(at, part)
    const stats = await lstat(at, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
      throw error
    })
    if (!stats) return { kind: 'missing' }
    if (i < parts.length - 1) {
      if (stats.isDirectory()) continue
      return {
        kind: 'unexpected',
        message: `"${parts.slice(0, i + 1).join('/')}" is ${typeOf(stats)} where a folder was expected`,
      }
    }
    if (stats.isDirectory()) return { kind: 'folder' }
    if (!stats.isFile())
      return { kind: 'unexpected', message: `is ${typeOf(stats)} where a file was expected` }
    const handle = await open(at, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const opened = await handle.stat({ bigint: true })
    if (opened.isFile() && opened.ino === stats.ino && opened.dev === stats.dev)
      return { kind: 'file', handle, size: Number(opened.size) }
    await handle.close()
    return { kind: 'unexpected', message: 'was replaced while it was being opened' }
  }
  return { kind: 'missing' }
}

function typeOf(stats: BigIntStats): string {
  if (stats.isSymbolicLink()) return 'a link'
  if (stats.isDirectory()) return 'a folder'
  if (stats.isFIFO()) return 'a named pipe'
  if (stats.isSocket()) return 'a socket'
  return stats.isFile() ? 'a file' : 'a device'
}
