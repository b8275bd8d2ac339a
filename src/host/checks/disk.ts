import { constants } from 'node:fs'
import { access, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Check } from '../../../schemas/index.ts'
import { formatBytes } from '../../core/text.ts'
import { makeCheck } from '../check.ts'

const LITTLE_BYTES = 2e9
const LITTLE_FILES = 50_000

/** File systems that several hosts share: fine for bundles, slow or impossible for container storage. */
const SHARED: Readonly<Record<number, string>> = {
  26985: 'NFS',
  198183888: 'Lustre',
  1196446291: 'GPFS',
  428016422: 'BeeGFS',
  4283649346: 'SMB',
  12805120: 'Ceph',
}

/** Space and inodes where `folder` lies or will lie, and whether we may write there. */
export async function checkDisk(name: string, folder: string, variable: string): Promise<Check> {
  const existing = await nearestFolder(folder)
  const [space, writable] = await Promise.all([
    statfs(existing),
    access(existing, constants.W_OK).then(
      () => true,
      () => false,
    ),
  ])
  const remedy = [`point ${variable} to another disk`]
  if (!writable)
    return makeCheck(name, 'bad', `"${folder}" cannot be written`, { remedies: remedy })
  const bytes = space.bavail * space.bsize
  const shared = SHARED[space.type]
  const value = `${formatBytes(bytes)} free${shared ? ` on ${shared}` : ''} at "${folder}"`
  if (bytes < LITTLE_BYTES) return makeCheck(name, 'warn', value, { remedies: remedy })
  // Some file systems count no inodes and say 0 of 0.
  if (space.files > 0 && space.ffree < LITTLE_FILES)
    return makeCheck(name, 'warn', `${value}, only ${space.ffree} more files`, { remedies: remedy })
  return makeCheck(name, 'ok', value)
}

async function nearestFolder(path: string): Promise<string> {
  const found = await stat(path).then(
    s => s.isDirectory(),
    () => false,
  )
  return found || path === '/' ? path : await nearestFolder(dirname(path))
}
