import { lstatSync, readdirSync } from 'node:fs'
import { lstat, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { isMountPoint } from '../image/mount-points.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { createBlake3 } from '../system/blake3.ts'
import { formatFileState } from '../system/file-state.ts'
import { makeScratchFolder } from '../system/scratch-folder.ts'

/** Beside an unpacked image: what all its files' states were when its tree hash was known to hold. */
const stateFile = z.strictObject({ format: z.literal(0), state: z.string() })
const statePath = (rootfs: string) => `${rootfs}.state`

/**
 * One hash over names, kinds and file states of everything in an unpacked image, mount points aside.
 * Reads no content: tens of thousands of files take a tenth of a second.
 */
function fingerprint(rootfs: string): string {
  const hasher = createBlake3()
  const walk = (folder: string) => {
    const at = Buffer.from(`${rootfs}/${folder}`, 'latin1')
    for (const name of readdirSync(at, { encoding: 'latin1' }).sort()) {
      if (folder === '' && isMountPoint(name)) continue
      const path = `${folder}${name}`
      const stats = lstatSync(Buffer.from(`${rootfs}/${path}`, 'latin1'), { bigint: true })
      // Times of folders move when a runtime looks for its mount points: names below them tell enough.
      const state = stats.isDirectory() ? 'folder' : `${stats.mode} ${formatFileState(stats)}`
      hasher.update(Buffer.from(`${path}\0${state}\n`, 'latin1'))
      if (stats.isDirectory()) walk(`${path}/`)
    }
  }
  walk('')
  return hasher.hex()
}

/** Notes the present state of a rootfs that was unpacked or hashed just now. */
export async function noteRootfsState(rootfs: string): Promise<void> {
  const state = fingerprint(Buffer.from(rootfs).toString('latin1'))
  await writeFileAtomic(statePath(rootfs), `${JSON.stringify({ format: 0, state })}\n`)
}

export interface RootfsLook {
  readonly rehash?: boolean
  readonly signal?: AbortSignal
}

/**
 * Whether an unpacked image is as it was: `stat` by unchanged states, `hashed` by its tree hash,
 * `damaged` when it is another tree, or of no known making; `absent` when there is none (yet).
 */
export async function checkRootfs(
  rootfs: string,
  options: RootfsLook = {},
): Promise<'stat' | 'hashed' | 'damaged' | 'absent'> {
  // The marker is written before the folder gets its name, so the folder is looked for first.
  if ((await idOf(rootfs)) === null) return 'absent'
  const marker = await readJson(`${rootfs}.json`, z.looseObject({ treeHash: z.string() }))
  if (!marker) return 'damaged'
  const noted = options.rehash ? null : await readJson(statePath(rootfs), stateFile)
  try {
    if (noted?.state === fingerprint(Buffer.from(rootfs).toString('latin1'))) return 'stat'
    const { rootfsTreeHash } = await import('../image/rootfs-hash.ts')
    if ((await rootfsTreeHash(rootfs, options.signal)) !== marker.treeHash) return 'damaged'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'damaged'
    throw error
  }
  await noteRootfsState(rootfs)
  return 'hashed'
}

/**
 * Takes a damaged image away, so that it can be unpacked again. What another process put there since it was found
 * damaged stays, or is put back: an app may be running on it.
 */
export async function removeDamagedRootfs(
  rootfs: string,
  cache: string,
  options: RootfsLook = {},
): Promise<void> {
  const id = await idOf(rootfs)
  if (id === null || (await checkRootfs(rootfs, options)) !== 'damaged') return
  if ((await idOf(rootfs)) !== id) return
  const aside = join(await makeScratchFolder(cache, 'old'), 'rootfs')
  try {
    await rename(rootfs, aside)
    if ((await idOf(aside)) !== id) await rename(aside, rootfs)
  } catch (error) {
    // Another process took it away, or has unpacked it once more.
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
  } finally {
    await rm(join(aside, '..'), { recursive: true, force: true })
  }
}

/** Which folder stands under this name now. Inodes are used again: with its time, which a new name leaves as it is. */
async function idOf(path: string): Promise<string | null> {
  const found = await lstat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  return found && `${found.dev}:${found.ino}:${found.mtimeNs}`
}

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (text === null) return null
  try {
    return schema.parse(JSON.parse(text))
  } catch {
    return null
  }
}
