import { readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DiskUsage } from '../system/disk-usage.ts'
import { makeScratchFolder } from '../system/scratch-folder.ts'

/** One thing of the cache that is (or would be) removed. */
export interface CacheItem {
  /** `stages/…`, `rootfs/…` */
  readonly what: string
  readonly bytes: number
  /** A process of this host uses it: it stays. */
  readonly inUse: boolean
}

/** Folders whose entries are each a thing of its own, whole or not there. */
const KINDS = ['stages', 'rootfs', 'images', 'stat', 'probes']

/**
 * Removes what is in the cache, but for what a running process uses. Each thing is moved aside first, so that nobody
 * meets a half of it. What is removed is made again when it is needed.
 */
export async function pruneCache(
  cache: string,
  dryRun: boolean,
  signal?: AbortSignal,
): Promise<CacheItem[]> {
  const inUse = await pathsInUse(cache)
  const counted = new DiskUsage()
  const items: CacheItem[] = []
  for (const kind of KINDS) {
    for (const name of await namesIn(join(cache, kind))) {
      signal?.throwIfAborted()
      const path = join(cache, kind, name)
      const used = inUse.some(text => text.includes(join(kind, name)))
      items.push({ what: `${kind}/${name}`, bytes: await counted.of(path), inUse: used })
      if (!dryRun && !used) await removeAside(path, cache)
    }
  }
  return items
}

async function removeAside(path: string, cache: string): Promise<void> {
  const scratch = await makeScratchFolder(cache, 'old')
  try {
    await rename(path, join(scratch, 'removed'))
  } catch (error) {
    // Another process took it away first.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** Command lines and mounts of the processes of this host that name the cache. */
async function pathsInUse(cache: string): Promise<string[]> {
  const texts: string[] = []
  for (const pid of (await namesIn('/proc')).filter(name => /^[0-9]+$/.test(name))) {
    if (Number(pid) === process.pid) continue
    for (const file of ['cmdline', 'mountinfo']) {
      const text = await readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
      if (text.includes(cache) || text.includes('/rootfs/') || text.includes('/stages/'))
        texts.push(text)
    }
  }
  return texts
}

async function namesIn(folder: string): Promise<string[]> {
  return await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
}
