import { relative } from 'node:path'
import type { AuthorManifest } from '../../schemas/index.ts'
import { locateSource } from '../image/source-path.ts'

/**
 * Paths in the folder of the image files its manifest names: published as images, so not a second time as files.
 * What is not there is passed over: importing it says so.
 */
export async function imageSourcePaths(root: string, manifest: AuthorManifest): Promise<string[]> {
  const sources = Object.values(manifest.images ?? {}).flatMap(image =>
    'source' in image ? [image.source] : [],
  )
  const located = await Promise.all(sources.map(s => locateSource(s, root).catch(() => null)))
  return located.flatMap(found => {
    const path = found === null ? '' : relative(root, found.path)
    return path === '' || path === '..' || path.startsWith('../') ? [] : [path]
  })
}
