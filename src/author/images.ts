import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuthorImage, CapturesFile, ResolvedImage, WorkRecord } from '../../schemas/index.ts'
import { RESERVED } from '../core/archive-path.ts'
import { asReproError } from '../core/errors.ts'
import type { ManifestFile } from '../core/manifest-file.ts'
import { count } from '../core/text.ts'
import { type ImportedImage, importImage } from '../image/import-image.ts'
import { formatFileState } from '../system/file-state.ts'
import { keptImage, readCaptures, writeCaptures } from './captures.ts'
import { type AuthorFault, faultsOf, throwFaults } from './faults.ts'
import type { PrepareOptions } from './prepare-options.ts'
import { MANIFEST_NAME } from './read-manifest.ts'
import type { TreeFile } from './walk.ts'

export type Images = ReadonlyMap<string, ImportedImage>

/**
 * The images of a manifest as OCI layouts in the cache. A `host:` image that was captured before is kept as it is,
 * unless its programs changed or `recapture` asks for a new one. Throws once for all images that cannot be had.
 */
export async function* prepareImages(
  root: string,
  file: ManifestFile,
  options: PrepareOptions,
): AsyncGenerator<WorkRecord, Images> {
  const wanted = Object.entries(file.manifest.images ?? {})
  const images = new Map<string, ImportedImage>()
  if (wanted.length === 0) return images
  const captures = await readCaptures(root)
  const captured: CapturesFile['images'] = {}
  const faults: AuthorFault[] = []
  yield { action: 'image', status: 'start' }
  for (const [name, image] of wanted) {
    options.signal?.throwIfAborted()
    try {
      const imported = yield* prepareImage(root, name, image, captures, options)
      images.set(name, imported)
      if ('host' in image) captured[name] = { host: image.host, resolved: imported.resolved }
    } catch (error) {
      faults.push(...faultsOf(error).map(fault => atManifest(fault, file, name)))
    }
  }
  throwFaults(faults)
  if (JSON.stringify(captured) !== JSON.stringify(captures)) yield* keep(root, captured)
  yield { action: 'image', status: 'ok', message: `prepared ${count('image', images.size)}` }
  return images
}

async function* prepareImage(
  root: string,
  name: string,
  image: AuthorImage,
  captures: CapturesFile['images'],
  { settings, signal, recapture, rehash }: PrepareOptions,
): AsyncGenerator<WorkRecord, ImportedImage> {
  const before = Object.hasOwn(captures, name) ? captures[name] : undefined
  const same = 'host' in image && JSON.stringify(before?.host) === JSON.stringify(image.host)
  const how = { ...(rehash ? { rehash } : {}), ...(signal ? { signal } : {}) }
  if (before && same && !recapture) {
    const kept = await keptImage(before.resolved, settings.cache, how)
    if (kept) {
      yield { action: 'image', status: 'unchanged', subject: name }
      return kept
    }
  }
  const importing = { folder: root, cache: settings.cache, ...how }
  const imported = yield* importImage(image, importing)
  if (before && same && !recapture && imported.resolved.digest !== before.resolved.digest)
    yield {
      action: 'warning',
      status: 'warn',
      subject: name,
      message: `the cache had lost the image "${name}", and this host has other programs now: it was ${before.resolved.digest} and is ${imported.resolved.digest}`,
      hints: ['record the expected outputs again: repro run . --record'],
    }
  return imported
}

/** A folder that cannot be written is no reason to refuse: the next time captures anew. */
async function* keep(
  root: string,
  captured: CapturesFile['images'],
): AsyncGenerator<WorkRecord, void> {
  try {
    await writeCaptures(root, captured)
  } catch (error) {
    const why = asReproError(error).message
    yield { action: 'warning', status: 'warn', message: `the captured images are not kept: ${why}` }
  }
}

function atManifest(fault: AuthorFault, file: ManifestFile, name: string): AuthorFault {
  const { line, column } = file.locate(['images', name], 'key')
  return {
    ...fault,
    file: MANIFEST_NAME,
    line,
    column,
    message: `images.${name}: ${fault.message}`,
  }
}

/** What a manifest says of them. */
export function resolvedImages(images: Images): Readonly<Record<string, ResolvedImage>> {
  return Object.fromEntries([...images].map(([name, { resolved }]) => [name, resolved]))
}

/** The files of images as they lie in a bundle: under `.repro/images/<name>/`. */
export async function imageTreeFiles(images: Images): Promise<TreeFile[]> {
  const all = [...images].flatMap(([name, { layout, files }]) =>
    files.map(({ path }) => ({
      path: `${RESERVED}/images/${name}/${path}`,
      absolute: join(layout, path),
    })),
  )
  return await Promise.all(
    all.map(async file => {
      const stats = await lstat(file.absolute, { bigint: true })
      const [size, mode] = [Number(stats.size), Number(stats.mode)]
      return { ...file, size, mode, state: formatFileState(stats) }
    }),
  )
}
