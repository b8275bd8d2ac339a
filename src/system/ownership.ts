import type { Stats } from 'node:fs'

/** The group or everybody may write. */
const OTHERS_WRITE = 0o022
/** What the kernel shows for owners that a user namespace does not know: there, root of the host is such. */
const UNMAPPED = 65_534

/**
 * Why what lies at a path could have been put there by another user of this host; null when only root and this
 * user can have.
 */
export function ownershipFault(stats: Pick<Stats, 'uid' | 'mode'>): string | null {
  if (![0, UNMAPPED, process.geteuid!()].includes(stats.uid))
    return `it belongs to another user (uid ${stats.uid})`
  if ((stats.mode & OTHERS_WRITE) !== 0)
    return `other users can write to it (mode ${(stats.mode & 0o7777).toString(8)})`
  return null
}
