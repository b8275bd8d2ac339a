import { join } from 'node:path'
import type { IndexEntry, IndexRoot, ResolvedImage } from '../../schemas/index.ts'
import type { ManifestFile } from '../core/manifest-file.ts'
import { hashFile } from '../system/hash-file.ts'
import type { StatCache } from '../system/stat-cache.ts'
import type { AuthorFault } from './faults.ts'
import { mayBeStale, readRecorded, staleExpectations } from './recorded.ts'
import { completeManifest, resolveManifest } from './resolve-manifest.ts'
import type { Tree } from './walk.ts'

/** Stands for a hash that is not known yet. */
const NO_HASH = '0'.repeat(64)

export interface ForeseeInput {
  readonly root: string
  readonly file: ManifestFile
  readonly tree: Tree
  readonly images: Readonly<Record<string, ResolvedImage>>
  readonly known: StatCache
  readonly signal?: AbortSignal | undefined
}

/**
 * What publish would refuse in a manifest and its expectations, told without hashing the tree: only expectations that
 * were recorded under another image are hashed. Gives the stale ones; throws MANIFEST_INVALID, RECORD_INVALID,
 * CONFIG_INVALID, and what hashing those throws.
 */
export async function foreseeFaults(input: ForeseeInput): Promise<AuthorFault[]> {
  const { root, file, tree, images, known, signal } = input
  const resolve = (hashes: ReadonlyMap<string, string>) =>
    resolveManifest({ file, images, entries: () => entriesOf(tree, hashes), lenient: false })
  const hashes = new Map<string, string>()
  const manifest = resolve(hashes)
  completeManifest(manifest, rootOf(tree))
  const recorded = await readRecorded(root)
  const doubtful = mayBeStale(manifest, recorded)
  if (doubtful.length === 0) return []
  for (const one of tree.files) {
    if (!doubtful.includes(one.path)) continue
    const hash = known.hashOf(one) ?? (await hashFile(join(root, one.path), signal)).blake3
    hashes.set(one.path, hash)
  }
  return staleExpectations(resolve(hashes), recorded)
}

function entriesOf(tree: Tree, hashes: ReadonlyMap<string, string>): IndexEntry[] {
  return [
    ...tree.files.map(
      ({ path, size }): IndexEntry => ({
        path,
        type: 'file',
        size,
        blake3: hashes.get(path) ?? NO_HASH,
      }),
    ),
    ...tree.links.map(({ path, target }): IndexEntry => ({ path, type: 'link', target })),
    ...tree.emptyFolders.map((path): IndexEntry => ({ path, type: 'folder' })),
  ]
}

function rootOf({ files, links, emptyFolders }: Tree): IndexRoot {
  return {
    blake3: NO_HASH,
    entries: files.length + links.length + emptyFolders.length,
    files: files.length,
    bytes: files.reduce((sum, { size }) => sum + size, 0),
  }
}
