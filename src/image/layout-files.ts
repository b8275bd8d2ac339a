import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fail } from '../core/errors.ts'

export interface LayoutFile {
  /** Relative in the layout, `/`-separated. */
  readonly path: string
  readonly size: number
}

/** The files of a layout in the cache, sorted. Throws IMAGE_INVALID when it is not whole. */
export async function listLayout(folder: string): Promise<LayoutFile[]> {
  const blobs = await readdir(join(folder, 'blobs', 'sha256')).catch(() => [])
  const paths = [...blobs.sort().map(name => `blobs/sha256/${name}`), 'index.json', 'oci-layout']
  if (blobs.length < 3) fail('IMAGE_INVALID', `the image in the cache at "${folder}" is not whole`)
  return await Promise.all(
    paths.map(async path => ({ path, size: (await stat(join(folder, path))).size })),
  )
}
