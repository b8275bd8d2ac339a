import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'

/** Folders that hold system programs but are missing in an ordinary user's PATH. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** The absolute path of an executable program, or null. */
export async function which(
  program: string,
  path = process.env['PATH'] ?? '',
): Promise<string | null> {
  const candidates = isAbsolute(program)
    ? [program]
    : [...path.split(delimiter).filter(folder => isAbsolute(folder)), ...SYSTEM_FOLDERS].map(
        folder => join(folder, program),
      )
  for (const candidate of candidates) {
    const runnable = await access(candidate, constants.X_OK)
      .then(() => stat(candidate))
      .then(
        s => s.isFile(),
        () => false,
      )
    if (runnable) return candidate
  }
  return null
}
