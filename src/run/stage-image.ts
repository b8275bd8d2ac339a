import { join } from 'node:path'
import type { FileEntry, WorkRecord } from '../../schemas/index.ts'
import type { AppClosure } from '../core/app-closure.ts'
import { fail } from '../core/errors.ts'
import type { ReleaseSource } from '../core/release-source.ts'
import { checkImageManifest } from '../image/image-manifest.ts'
import { readSearchPath } from './image-config.ts'
import { assertRoom } from './room.ts'
import { checkRootfs, noteRootfsState, removeDamagedRootfs } from './rootfs-state.ts'

/** How often an image is unpacked that is damaged each time. */
const ATTEMPTS = 3

export interface StagedImage {
  readonly digest: string
  /** Absolute. */
  readonly path: string
  /** PATH of its configuration. */
  readonly searchPath: string | null
}

/**
 * Has the image of an app unpacked in the cache, fetching its blobs only where it is not there yet and whole.
 * Null for an app without image. Throws HASH_MISMATCH, IMAGE_INVALID, NO_PEER, DISK_FULL.
 */
export async function* stageImage(
  source: ReleaseSource,
  closure: AppClosure,
  files: readonly FileEntry[],
  options: { readonly cache: string; readonly rehash?: boolean; readonly signal?: AbortSignal },
): AsyncGenerator<WorkRecord, StagedImage | null> {
  const name = closure.app.image
  if (name === null) return null
  const image = source.manifest.images[name]
  if (!image)
    fail(
      'RECORD_INVALID',
      `the app "${closure.name}" names the image "${name}", which is not there`,
    )
  const { cache, signal } = options
  const path = join(cache, 'rootfs', image.digest.replace('sha256:', ''))
  const blobs = new Map(
    files
      .filter(file => file.path.includes('/blobs/sha256/'))
      .map(file => [`sha256:${file.path.slice(file.path.lastIndexOf('/') + 1)}`, file]),
  )
  const named = {
    manifestDigest: image.digest,
    config: image.config,
    layers: image.layers,
    openBlob: (digest: string) => source.read(blobOf(digest), signal),
  }
  yield* source.fetch([blobOf(image.digest), blobOf(image.config)], signal)
  // An image of this digest that is here already is used only with the configuration that belongs to it.
  await checkImageManifest(named)
  const searchPath = await readSearchPath(image.config, source.read(blobOf(image.config), signal))
  for (let attempt = 0; ; attempt++) {
    const found = await checkRootfs(path, options)
    if (found === 'stat' || found === 'hashed') return { digest: image.digest, path, searchPath }
    if (attempt === ATTEMPTS) break
    if (found === 'damaged') await removeDamagedRootfs(path, cache, options)
    if (yield* unpack()) return { digest: image.digest, path, searchPath }
  }
  return fail('HASH_MISMATCH', `the image "${path}" is damaged again as soon as it is unpacked`, {
    hints: ['find out what writes to the cache'],
  })

  /** False when another process was faster: what it made is looked at like what was here before. */
  async function* unpack(): AsyncGenerator<WorkRecord, boolean> {
    await assertRoom(
      cache,
      image!.layers.reduce((sum, layer) => sum + layer.size, 0),
    )
    yield* source.fetch(
      image!.layers.map(layer => blobOf(layer.digest)),
      signal,
    )
    const { unpackImage } = await import('../image/unpack/unpack-image.ts')
    const unpacked = yield* unpackImage(named, cache, signal)
    if (unpacked.fromCache) return false
    await noteRootfsState(unpacked.path)
    return true
  }

  function blobOf(digest: string): FileEntry {
    const file = blobs.get(digest)
    return (
      file ??
      fail('RECORD_INVALID', `the image "${name}" lacks the blob ${digest}`, {
        hints: ['the bundle is incomplete: tell its author'],
      })
    )
  }
}
