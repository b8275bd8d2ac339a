import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { fail } from '../core/errors.ts'

const SPECIAL: ReadonlySet<string> = new Set(['ELOOP', 'ENXIO'])

/**
 * The bytes of a regular file, not through a link; null when it is not there. A pipe, a device or a file of more than
 * `maxBytes` is not read at all. With `own`, neither is one that another user made or could have written to.
 * Waits for nothing. Throws RECORD_INVALID.
 */
export function readRegular(
  path: string,
  maxBytes: number,
  { own = false }: { readonly own?: boolean } = {},
): Buffer | null {
  let file: number
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    if (SPECIAL.has(code)) fail('RECORD_INVALID', `"${path}" is no regular file`, { cause: error })
    throw error
  }
  try {
    const stats = fstatSync(file)
    if (!stats.isFile()) fail('RECORD_INVALID', `"${path}" is no regular file`)
    if (stats.size > maxBytes)
      fail('RECORD_INVALID', `"${path}" has ${stats.size} bytes, at most ${maxBytes} are read`)
    if (own && (stats.uid !== process.geteuid!() || (stats.mode & 0o022) !== 0))
      fail('RECORD_INVALID', `"${path}" may have been written by another user`)
    const bytes = Buffer.alloc(stats.size)
    let at = 0
    for (let read = 1; read > 0 && at < bytes.length; at += read)
      read = readSync(file, bytes, at, bytes.length - at, at)
    return bytes.subarray(0, at)
  } finally {
    closeSync(file)
  }
}
