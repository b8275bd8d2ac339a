import { createReadStream, lstatSync } from 'node:fs'
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { createBlake3 } from '../system/blake3.ts'
import { parallel } from '../system/parallel.ts'
import { diskPath } from './byte-path.ts'
import { SMALL_FILE_BYTES } from './limits.ts'
import { isMountPoint } from './mount-points.ts'

export type TreeHash = `blake3:${string}`

/** One thing in a rootfs as the tree hash sees it. `path` is a byte string without leading slash. */
export type RootfsEntry =
  | { readonly path: string; readonly type: 'folder' }
  | { readonly path: string; readonly type: 'link'; readonly target: string }
  | {
      readonly path: string
      readonly type: 'file'
      readonly blake3: string
      readonly executable: boolean
    }

/**
 * BLAKE3 over `repro-rootfs-v0\n` and one line per entry, sorted by the bytes of the path: path, NUL, kind and value, newline.
 * Kinds: `d` folder, `l` link and its target, `f` file and its BLAKE3, `x` executable file and its BLAKE3.
 * Owners, times and other permissions are not in it, and neither are the mount points.
 */
export function hashRootfsEntries(entries: Iterable<RootfsEntry>): TreeHash {
  const lines = [...entries].map(entry => ({ path: entry.path, line: lineOf(entry) }))
  lines.sort((a, b) => (a.path < b.path ? -1 : 1))
  const hasher = createBlake3().update(Buffer.from('repro-rootfs-v0\n'))
  for (const { line } of lines) hasher.update(Buffer.from(line, 'latin1'))
  return `blake3:${hasher.hex()}`
}

function lineOf(entry: RootfsEntry): string {
  if (entry.type === 'folder') return `${entry.path}\0d\n`
  if (entry.type === 'link') return `${entry.path}\0l${entry.target}\n`
  return `${entry.path}\0${entry.executable ? 'x' : 'f'}${entry.blake3}\n`
}

/** The tree hash of an unpacked image, read from disk. */
export async function rootfsTreeHash(path: string, signal?: AbortSignal): Promise<TreeHash> {
  await stat(path)
  const entries: RootfsEntry[] = []
  const files: FoundFile[] = []
  for await (const found of walk(path, '')) {
    signal?.throwIfAborted()
    if (found.type === 'file') files.push(found)
    else entries.push(found)
  }
  for await (const entry of parallel(files, 16, file => hashEntry(path, file))) {
    signal?.throwIfAborted()
    entries.push(entry)
  }
  return hashRootfsEntries(entries)
}

interface FoundFile {
  readonly path: string
  readonly type: 'file'
  readonly executable: boolean
  readonly size: number
}
type Found = Exclude<RootfsEntry, { type: 'file' }> | FoundFile

async function* walk(root: string, folder: string): AsyncGenerator<Found> {
  for (const name of await readdir(diskPath(root, folder), { encoding: 'latin1' })) {
    if (folder === '' && isMountPoint(name)) continue
    const path = folder === '' ? name : `${folder}/${name}`
    const full = diskPath(root, path)
    const stats = lstatSync(full)
    if (stats.isDirectory()) {
      yield { path, type: 'folder' }
      yield* walk(root, path)
    } else if (stats.isSymbolicLink()) {
      yield { path, type: 'link', target: await readlink(full, { encoding: 'latin1' }) }
    } else yield { path, type: 'file', executable: (stats.mode & 0o100) !== 0, size: stats.size }
  }
}

async function hashEntry(root: string, file: FoundFile): Promise<RootfsEntry> {
  const hasher = createBlake3()
  if (file.size <= SMALL_FILE_BYTES) hasher.update(await readFile(diskPath(root, file.path)))
  else
    for await (const chunk of createReadStream(diskPath(root, file.path), {
      highWaterMark: 1 << 20,
    }))
      hasher.update(chunk as Buffer)
  return { path: file.path, executable: file.executable, type: 'file', blake3: hasher.hex() }
}
