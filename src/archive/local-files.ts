import type { Stats } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { IndexEntry } from '../../schemas/index.ts'
import type { HashPool } from '../system/hash-pool.ts'

/** What stands in a folder where an entry belongs: nothing, just that, or something else (and what). */
export type LocalState =
  | { readonly is: 'missing' }
  | { readonly is: 'equal' }
  | { readonly is: 'other'; readonly what: string }

/** Compares what lies on disk with an index entry, reading and hashing its bytes. */
export async function compareLocal(
  folder: string,
  entry: IndexEntry,
  pool: HashPool,
  signal?: AbortSignal,
): Promise<LocalState> {
  const path = join(folder, entry.path)
  const above = await firstNoFolder(folder, entry.path)
  if (above === 'link') return other('a folder above it is a link')
  if (above === 'nothing') return { is: 'missing' }
  const stats = await statsOf(path)
  if (!stats) return { is: 'missing' }
  if (entry.type === 'folder')
    return stats.isDirectory() ? { is: 'equal' } : other(`is ${kindOf(stats)}, expected a folder`)
  if (entry.type === 'link') {
    if (!stats.isSymbolicLink()) return other(`is ${kindOf(stats)}, expected a link`)
    const target = await readlink(path)
    return target === entry.target
      ? { is: 'equal' }
      : other(`points to "${target}", expected "${entry.target}"`)
  }
  if (!stats.isFile()) return other(`is ${kindOf(stats)}, expected a file`)
  if (stats.size !== entry.size) return other(`has ${stats.size} bytes, expected ${entry.size}`)
  const executable = (stats.mode & 0o100) !== 0
  if (executable !== (entry.executable === true))
    return other(executable ? 'is executable, expected not' : 'is not executable, expected to be')
  const hashed = await pool.hash(path, signal)
  return hashed.blake3 === entry.blake3
    ? { is: 'equal' }
    : other(`has the hash ${hashed.blake3}, expected ${entry.blake3}`)
}

const other = (what: string): LocalState => ({ is: 'other', what })

async function statsOf(path: string): Promise<Stats | null> {
  return await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw error
  })
}

/** What stands in the way to a path: the first folder above it that is a link, or is not there. */
async function firstNoFolder(folder: string, path: string): Promise<'link' | 'nothing' | null> {
  for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) {
    const stats = await statsOf(join(folder, path.slice(0, end)))
    if (!stats) return 'nothing'
    if (stats.isSymbolicLink()) return 'link'
  }
  return null
}

function kindOf(stats: { isDirectory(): boolean; isSymbolicLink(): boolean; isFile(): boolean }) {
  if (stats.isDirectory()) return 'a folder'
  if (stats.isSymbolicLink()) return 'a link'
  return stats.isFile() ? 'a file' : 'a device, pipe or socket'
}

/** Paths of everything but folders below `folder`, and of empty folders, sorted; `skip` leaves subtrees out. */
export async function* walkFolder(
  folder: string,
  skip: (path: string) => boolean,
  below = '',
): AsyncGenerator<{ readonly path: string; readonly folder: boolean }> {
  const items = await readdir(join(folder, below), { withFileTypes: true })
  for (const item of items.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = below === '' ? item.name : `${below}/${item.name}`
    if (skip(path)) continue
    if (item.isDirectory()) {
      yield { path, folder: true }
      yield* walkFolder(folder, skip, path)
    } else yield { path, folder: false }
  }
}
