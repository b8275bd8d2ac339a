import { type BigIntStats, createReadStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { fail } from '../../core/errors.ts'
import { diskPath, showBytePath, toBytePath } from '../byte-path.ts'
import { type TarItem, writeTar } from '../tar/tar-writer.ts'
import type { SourceImage } from './source-image.ts'

/** A plain rootfs tar as an image of one layer, its bytes as they are. */
export function rootfsTar(open: () => AsyncIterable<Uint8Array>): SourceImage {
  return {
    kind: 'rootfs-tar',
    digest: null,
    config: null,
    layers: [{ name: 'the tar', stored: null, open }],
    chosen: null,
    close: async () => undefined,
  }
}

/** A rootfs folder as an image of one layer: sorted, without owners, times, set-uid bits, devices and sockets. */
export function rootfsFolder(path: string, signal?: AbortSignal): SourceImage {
  return {
    kind: 'rootfs-folder',
    digest: null,
    config: null,
    layers: [{ name: path, stored: null, open: () => writeTar(walk(path, '', new Map()), signal) }],
    chosen: null,
    close: async () => undefined,
  }
}

/** Folders whose content belongs to the running system and not to the rootfs. */
const RUNTIME_FOLDERS = new Set(['proc', 'sys', 'dev'])

async function* walk(
  root: string,
  folder: string,
  inodes: Map<string, string>,
): AsyncGenerator<TarItem> {
  const names = await readdir(diskPath(root, folder), { encoding: 'latin1' })
  for (const name of names.sort((a, b) => (a < b ? -1 : 1))) {
    const path = folder === '' ? name : `${folder}/${name}`
    if (name.startsWith('.wh.'))
      fail('IMAGE_INVALID', `"${showBytePath(path)}" has a name that images use for deletions`)
    const full = diskPath(root, path)
    const stats = await lstat(full, { bigint: true })
    if (stats.isDirectory()) {
      yield { path, type: 'folder', mode: (Number(stats.mode) & 0o777) | 0o700 }
      if (folder !== '' || !RUNTIME_FOLDERS.has(name)) yield* walk(root, path, inodes)
    } else if (stats.isSymbolicLink()) {
      const target = await readlink(full, { encoding: 'latin1' })
      yield { path, type: 'link', mode: 0o777, target }
    } else if (stats.isFile()) yield fileItem(root, path, stats, inodes)
  }
}

function fileItem(
  root: string,
  path: string,
  stats: BigIntStats,
  inodes: Map<string, string>,
): TarItem {
  const mode = (Number(stats.mode) & 0o777) | 0o400
  const inode = `${stats.dev}:${stats.ino}`
  const first = stats.nlink > 1n ? inodes.get(inode) : undefined
  if (first !== undefined) return { path, type: 'hardlink', mode, target: first }
  if (stats.nlink > 1n) inodes.set(inode, path)
  const body = () =>
    createReadStream(diskPath(root, path), { highWaterMark: 1 << 20 }) as AsyncIterable<Uint8Array>
  return { path, type: 'file', mode, size: Number(stats.size), body }
}

/** Names in the root of a rootfs; one is enough to take a folder or tar for one. */
const ROOT_NAMES = ['bin', 'usr', 'lib', 'etc', 'sbin', 'lib64', 'opt', 'app', 'nix']

export function looksLikeRootfs(names: Iterable<string>): boolean {
  for (const name of names) if (ROOT_NAMES.includes(toBytePath(name).split('/')[0]!)) return true
  return false
}
