import { z } from 'zod'
import { fail } from '../../core/errors.ts'
import { parseDocument } from '../oci.ts'
import { type ImageFiles, readSmall } from './image-files.ts'
import type { SourceImage } from './source-image.ts'

const saved = z.array(
  z.looseObject({
    Config: z.string(),
    RepoTags: z.array(z.string()).nullish(),
    Layers: z.array(z.string()).max(10_000),
  }),
)

/** True when the bytes are the manifest.json of a docker-archive. */
export function isDockerManifest(bytes: Buffer): boolean {
  try {
    return saved.safeParse(JSON.parse(bytes.toString('utf8'))).success
  } catch {
    return false
  }
}

/** Reads what `docker save`, `podman save` and `skopeo copy docker-archive:` write. Throws IMAGE_INVALID, IMAGE_SOURCE. */
export async function readDockerArchive(
  files: ImageFiles,
  tag: string | null,
): Promise<SourceImage> {
  const bytes = await readSmall(files, 'manifest.json')
  if (!bytes) fail('IMAGE_INVALID', 'the docker-archive has no manifest.json')
  const images = parseDocument(saved, bytes, 'manifest.json')
  const tags = images.flatMap(image => image.RepoTags ?? [])
  const fitting =
    tag === null
      ? images
      : images.filter(image => image.RepoTags?.some(t => t === tag || t.endsWith(`/${tag}`)))
  const [image] = fitting
  if (!image && tag !== null)
    fail('IMAGE_SOURCE', `the source holds no image "${tag}"`, { hints: tags.map(asSource) })
  if (!image) fail('IMAGE_INVALID', 'the docker-archive holds no image')
  if (fitting.length > 1)
    fail('IMAGE_SOURCE', `the source holds ${fitting.length} images: ${tags.join(', ')}`, {
      hints: tags.map(asSource),
    })
  const config = await readSmall(files, image.Config)
  if (!config) fail('IMAGE_INVALID', `the configuration "${image.Config}" is missing in the image`)
  for (const layer of image.Layers)
    if ((await files.size(layer)) === null)
      fail('IMAGE_INVALID', `the layer "${layer}" is missing in the image`)
  return {
    kind: 'docker-archive',
    digest: null,
    config,
    layers: image.Layers.map(name => ({ name, stored: null, open: () => files.open(name) })),
    chosen: images.length > 1 ? `${tag} of ${tags.join(', ')}` : null,
    close: () => files.close(),
  }
}

const asSource = (tag: string) => `source: <path>:${tag}`
