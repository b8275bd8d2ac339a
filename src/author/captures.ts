import { join } from 'node:path'
import { type CapturesFile, capturesFile, type ResolvedImage } from '../../schemas/index.ts'
import { RESERVED } from '../core/archive-path.ts'
import { type Digest, hexOf } from '../core/digest.ts'
import type { ImportedImage } from '../image/import-image.ts'
import { reuseLayout } from '../image/reuse-layout.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { readSideFile } from './bundle-file.ts'

const pathOf = (folder: string) => join(folder, RESERVED, 'captures.json')

/** The captures a folder keeps. A file that is none of ours counts as none: it is made anew. */
export async function readCaptures(folder: string): Promise<CapturesFile['images']> {
  const parsed = capturesFile.safeParse(await readSideFile(pathOf(folder)))
  return parsed.success ? parsed.data.images : {}
}

export async function writeCaptures(folder: string, images: CapturesFile['images']): Promise<void> {
  await writeFileAtomic(pathOf(folder), `${JSON.stringify({ format: 0, images }, null, 2)}\n`)
}

/** The kept image when the cache still holds all of it, and nothing else under its digest; else null. */
export async function keptImage(
  resolved: ResolvedImage,
  cache: string,
  options: { readonly rehash?: boolean; readonly signal?: AbortSignal } = {},
): Promise<ImportedImage | null> {
  const layout = join(cache, 'images', hexOf(resolved.digest as Digest))
  const files = await reuseLayout(layout, options)
  if (files === null) return null
  const blobs = [resolved.digest, resolved.config, ...resolved.layers.map(layer => layer.digest)]
  const expected = new Set(blobs.map(digest => `blobs/sha256/${hexOf(digest as Digest)}`))
  const found = files.filter(file => file.path.startsWith('blobs/')).map(file => file.path)
  const same = found.length === expected.size && found.every(path => expected.has(path))
  return same ? { resolved, layout, files } : null
}
