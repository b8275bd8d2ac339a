import { statfsSync, statSync } from 'node:fs'

/**
 * File systems of this host that stamp with its own clock, at most some milliseconds late: ext, XFS, Btrfs, tmpfs,
 * overlay, F2FS, ZFS, bcachefs. Any other may be a network's, with a clock of its own.
 */
const LOCAL = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1, 0xca451a4e,
])
const LOCAL_MS = 100
const OTHER_MS = 2000

/**
 * Tells of the states of files in `folder` (`formatFileState`) whether their stamps were old enough at `lookedMs` for
 * any later change to be sure to leave others: older than the clock of their file system is coarse. Stamps of whole
 * seconds count as those of a clock that ticks every two. Stamps of the future are never old enough.
 */
export function settledBy(folder: string, lookedMs: number): (state: string) => boolean {
  const local = localDevice(folder)
  return state => {
    const [dev, , , mtime, ctime] = state.split(':') as [string, string, string, string, string]
    const coarse = dev !== local || ctime.endsWith('000000000')
    const newestMs = Math.max(Number(ctime), Number(mtime)) / 1e6
    return newestMs < lookedMs - (coarse ? OTHER_MS : LOCAL_MS)
  }
}

/** The device of a folder when its stamps are by the clock of this host, else null. */
function localDevice(folder: string): string | null {
  try {
    return LOCAL.has(statfsSync(folder).type)
      ? String(statSync(folder, { bigint: true }).dev)
      : null
  } catch {
    return null
  }
}
