import { statfsSync } from 'node:fs'

/** Bytes that the caller may still write on the disk of `folder`; null when that cannot be asked. */
export function freeBytes(folder: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  } catch {
    return null
  }
}
