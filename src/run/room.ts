import { mkdir, statfs } from 'node:fs/promises'
import { fail } from '../core/errors.ts'
import { formatBytes } from '../core/text.ts'

/** Throws DISK_FULL when the file system of `cache` has less room than is needed. */
export async function assertRoom(cache: string, bytes: number): Promise<void> {
  await mkdir(cache, { recursive: true, mode: 0o755 })
  const { bavail, bsize } = await statfs(cache)
  const free = bavail * bsize
  if (free >= bytes) return
  fail(
    'DISK_FULL',
    `"${cache}" has ${formatBytes(free)} free, and ${formatBytes(bytes)} are needed`,
    {
      hints: ['free some space, or point REPRO_CACHE to a larger disk, then repeat the command'],
      data: { path: cache, freeBytes: free, neededBytes: bytes },
    },
  )
}
