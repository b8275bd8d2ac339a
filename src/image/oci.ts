import { z } from 'zod'
import { sha256Digest } from '../../schemas/index.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { fail } from '../core/errors.ts'

/** The documents of OCI images (image-spec 1.1), read leniently (unknown fields pass) and written canonically. */

const MEDIA_TYPES = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const

const platform = z.looseObject({
  architecture: z.string(),
  os: z.string(),
  variant: z.string().optional(),
})
const descriptor = z.looseObject({
  mediaType: z.string().optional(),
  digest: sha256Digest,
  size: z.int().min(0),
  platform: platform.optional(),
  annotations: z.record(z.string(), z.string()).nullish(),
})
export type Descriptor = z.infer<typeof descriptor>

export const ociIndex = z.looseObject({
  schemaVersion: z.literal(2),
  manifests: z.array(descriptor).max(10_000),
})
export const ociManifest = z.looseObject({
  schemaVersion: z.literal(2),
  config: descriptor,
  layers: z.array(descriptor).max(10_000),
})
export const ociConfig = z.looseObject({
  architecture: z.string().min(1),
  os: z.string(),
  variant: z.string().optional(),
  rootfs: z.looseObject({ type: z.literal('layers'), diff_ids: z.array(sha256Digest).nullable() }),
})
export type OciConfig = z.infer<typeof ociConfig>

/** Parses JSON of a stranger. Throws IMAGE_INVALID that names `what`. */
export function parseDocument<T>(schema: z.ZodType<T>, bytes: Uint8Array, what: string): T {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    fail('IMAGE_INVALID', `the ${what} of the image is no JSON`)
  }
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  return fail(
    'IMAGE_INVALID',
    `the ${what} of the image is not as OCI defines it: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim(),
  )
}

export interface BlobName {
  readonly digest: `sha256:${string}`
  readonly size: number
}

/** The canonical bytes of our image manifest over uncompressed layers. */
export function formatManifest(config: BlobName, layers: readonly BlobName[]): Buffer {
  return Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.manifest,
      config: { mediaType: MEDIA_TYPES.config, digest: config.digest, size: config.size },
      layers: layers.map(({ digest, size }) => ({ mediaType: MEDIA_TYPES.layer, digest, size })),
    }),
  )
}

export function formatIndex(manifest: BlobName, config: OciConfig): Buffer {
  return Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.index,
      manifests: [
        {
          mediaType: MEDIA_TYPES.manifest,
          digest: manifest.digest,
          size: manifest.size,
          platform: {
            architecture: config.architecture,
            os: config.os,
            variant: config.variant,
          },
        },
      ],
    }),
  )
}

export const OCI_LAYOUT = Buffer.from('{"imageLayoutVersion":"1.0.0"}')
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The configuration of an image made here: from a rootfs, or captured. No time, no host, no user in it. */
export function formatConfig(architecture: string, diffIds: readonly string[]): Buffer {
  return Buffer.from(
    canonicalJson({
      architecture,
      os: 'linux',
      created: '1970-01-01T00:00:00Z',
      config: { Env: [`PATH=${DEFAULT_PATH}`] },
      rootfs: { type: 'layers', diff_ids: diffIds },
      history: diffIds.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'repro' })),
    }),
  )
}
