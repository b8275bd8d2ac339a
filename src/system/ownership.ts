import { readFileSync, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'

const GROUP_WRITES = 0o020
const OTHERS_WRITE = 0o002
/** What the kernel shows for owners that a user namespace does not know: there, root of the host is such. */
const UNMAPPED = 65_534
const ALL_USERS = /^\s*0\s+0\s+4294967295\s*$/

/**
 * Why what lies at a path could have been put there by another user of this host; null when only root and this user
 * can have. A group of the same number as the owner is the owner's own.
 */
export function ownershipFault({
  uid,
  gid,
  mode,
}: Pick<Stats, 'uid' | 'gid' | 'mode'>): string | null {
  const trusted = uid === 0 || uid === process.geteuid!() || (uid === UNMAPPED && hasUnmapped())
  if (!trusted) return `it belongs to another user (uid ${uid})`
  const writers = OTHERS_WRITE | (gid === uid ? 0 : GROUP_WRITES)
  if ((mode & writers) !== 0)
    return `other users can write to it (mode ${(mode & 0o7777).toString(8)})`
  return null
}

/** As `ownershipFault`, of a path; null also for what is not there. */
export async function ownershipFaultAt(path: string): Promise<string | null> {
  const stats = await stat(path).catch(() => null)
  return stats === null ? null : ownershipFault(stats)
}

let unmapped: boolean | undefined
function hasUnmapped(): boolean {
  unmapped ??= !ALL_USERS.test(readFileSync('/proc/self/uid_map', 'utf8'))
  return unmapped
}
