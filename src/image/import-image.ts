import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuthorImage, ResolvedImage, WorkRecord } from '../../schemas/index.ts'
import { type Digest, hexOf } from '../core/digest.ts'
import { fail } from '../core/errors.ts'
import { makeScratchFolder } from '../system/scratch-folder.ts'
import { captureHost } from './capture/capture-host.ts'
import { openSource } from './detect.ts'
import type { SourceImage } from './formats/source-image.ts'
import { inspectLayer, uncompressed } from './import-layer.ts'
import { type LayoutFile, listLayout } from './layout-files.ts'
import { LayoutWriter } from './layout-writer.ts'
import { MAX_LAYERS } from './limits.ts'
import { type BlobName, formatConfig, type OciConfig, ociConfig, parseDocument } from './oci.ts'
import { hostArchitecture } from './platform.ts'
import { reuseLayout } from './reuse-layout.ts'
import { recall, remember, sourceKey } from './source-cache.ts'
import { locateSource } from './source-path.ts'

export interface ImportOptions {
  /** The author's folder; paths in `source:` are relative to it. */
  readonly folder: string
  readonly cache: string
  /** Hashes what the cache holds of an image, whatever was noted of its files. */
  readonly rehash?: boolean
  readonly signal?: AbortSignal
}

export interface ImportedImage {
  readonly resolved: ResolvedImage
  /** Folder of the OCI layout in the cache. */
  readonly layout: string
  /** What lies in it; goes to `.repro/images/<name>/` as it is. */
  readonly files: readonly LayoutFile[]
}

/**
 * Makes an author's image into an OCI layout with uncompressed layers under `<cache>/images/`. A source that has not
 * changed since is not read again. Throws IMAGE_SOURCE, IMAGE_INVALID, PROGRAM_MISSING, SOURCE_CHANGED.
 */
export async function* importImage(
  request: AuthorImage,
  options: ImportOptions,
): AsyncGenerator<WorkRecord, ImportedImage> {
  const { cache, folder } = options
  if ('host' in request) {
    const subject = `host: ${request.host.join(', ')}`
    yield { action: 'image', status: 'start', subject }
    const { image, notes } = await captureHost(request.host, folder, options.signal)
    for (const message of notes) yield { action: 'warning', subject, message }
    const origin = { kind: 'host' as const, programs: [...request.host] }
    return yield* importFrom(async () => image, subject, origin, options)
  }
  const source = await locateSource(request.source, folder)
  const recipe = request.recipe === undefined ? {} : { recipe: request.recipe }
  const key = await sourceKey(source)
  const known = await recall(cache, key)
  const layout = known && join(cache, 'images', hexOf(known.digest as Digest))
  const files = layout && (await reuseLayout(layout, options))
  if (known && layout && files) {
    yield { action: 'image', status: 'unchanged', subject: request.source }
    return { resolved: { ...known, ...recipe }, layout, files }
  }
  yield { action: 'image', status: 'start', subject: request.source }
  const imported = yield* importFrom(
    scratch => openSource(source, scratch, options.signal),
    request.source,
    { path: source.shown },
    options,
  )
  if ((await sourceKey(source)) !== key)
    fail('SOURCE_CHANGED', `the image source "${request.source}" changed while it was being read`, {
      hints: ['wait until nothing writes to it, then repeat the command'],
    })
  await remember(cache, key, imported.resolved)
  return { ...imported, resolved: { ...imported.resolved, ...recipe } }
}

async function* importFrom(
  openImage: (scratch: string) => Promise<SourceImage>,
  subject: string,
  origin: Omit<ResolvedImage['origin'], 'kind'>,
  { cache, signal }: ImportOptions,
): AsyncGenerator<WorkRecord, ImportedImage> {
  const scratch = await makeScratchFolder(cache, 'image')
  try {
    const image = await openImage(scratch)
    try {
      if (image.chosen !== null) yield { action: 'note', subject, message: `chose ${image.chosen}` }
      const imported = yield* writeLayout(image, join(scratch, 'layout'), cache, subject, signal)
      const { digest } = imported.resolved
      const stated =
        image.digest === null || image.digest === digest ? {} : { digest: image.digest }
      const resolved = { ...imported.resolved, origin: { kind: image.kind, ...origin, ...stated } }
      if (resolved.architecture !== hostArchitecture)
        yield {
          action: 'warning',
          subject,
          message: `the image is for ${resolved.architecture}; this host is ${hostArchitecture} and cannot run it`,
        }
      yield {
        action: 'image',
        status: 'ok',
        subject,
        message: digest,
        bytes: imported.files.reduce((sum, file) => sum + file.size, 0),
        data: { digest, architecture: resolved.architecture, kind: image.kind },
      }
      return { ...imported, resolved }
    } finally {
      await image.close()
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function* writeLayout(
  image: SourceImage,
  folder: string,
  cache: string,
  subject: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<WorkRecord, Omit<ImportedImage, 'resolved'> & { resolved: ResolvedImage }> {
  if (image.layers.length === 0) fail('IMAGE_INVALID', 'the image has no layers')
  if (image.layers.length > MAX_LAYERS)
    fail('IMAGE_INVALID', `the image has more than ${MAX_LAYERS} layers`)
  const given =
    image.config === null ? null : parseDocument(ociConfig, image.config, 'configuration')
  if (given !== null && given.os !== 'linux')
    fail('IMAGE_SOURCE', `the image is for ${given.os}; expected linux`)
  const writer = await LayoutWriter.make(folder)
  const layers: BlobName[] = []
  let architecture: string | null = given?.architecture ?? null
  let done = 0
  for (const layer of image.layers) {
    const writing = writer.addBlob(uncompressed(layer, signal))
    let step = await writing.next()
    for (let next = 0; !step.done; step = await writing.next()) {
      if (step.value < next) continue
      yield { action: 'progress', subject, bytes: done + step.value }
      next = step.value + (16 << 20)
    }
    const name = step.value
    const stated = given?.rootfs.diff_ids?.[layers.length]
    if (given !== null && stated !== name.digest)
      fail(
        'IMAGE_INVALID',
        `the layer ${layer.name} unpacks to ${name.digest}, but the configuration says ${stated ?? 'nothing'}`,
        { hints: ['the image is damaged: save it again'] },
      )
    const found = await inspectLayer(writer.blobPath(name.digest), given === null, signal)
    architecture ??= found
    layers.push(name)
    done += name.size
  }
  if (given !== null && given.rootfs.diff_ids?.length !== layers.length)
    fail('IMAGE_INVALID', 'the configuration of the image names more layers than there are')
  const config =
    image.config ??
    formatConfig(
      architecture ?? hostArchitecture,
      layers.map(layer => layer.digest),
    )
  const parsed: OciConfig = given ?? parseDocument(ociConfig, config, 'configuration')
  const kept = await writer.finish(cache, config, parsed, layers)
  return {
    layout: kept.folder,
    files: await listLayout(kept.folder),
    resolved: {
      digest: kept.manifest.digest,
      config: kept.config.digest,
      architecture: parsed.architecture,
      os: 'linux',
      ...(parsed.variant === undefined ? {} : { variant: parsed.variant }),
      layers: layers.map(({ digest, size }) => ({ digest, size })),
      origin: { kind: image.kind },
    },
  }
}
