import { createHash } from 'node:crypto'
import { fail } from '../core/errors.ts'
import { MAX_DOCUMENT_BYTES, MAX_LAYERS } from './limits.ts'
import { ociManifest, parseDocument } from './oci.ts'

export interface LayerName {
  /** diffID: SHA-256 of the uncompressed tar. */
  readonly digest: string
  readonly size: number
}

export interface ImageToUnpack {
  /** Digest of the OCI manifest; its bytes are asked for by `openBlob` too, and must name `config` and `layers`. */
  readonly manifestDigest: string
  /** Digest of the image's configuration. */
  readonly config: string
  readonly layers: readonly LayerName[]
  /** The bytes of a blob, not yet checked. */
  openBlob(digest: string): AsyncIterable<Uint8Array>
}

/**
 * The manifest's own bytes bind its digest to configuration and layers; else one bundle could put its own under
 * another's digest. Throws HASH_MISMATCH, IMAGE_INVALID.
 */
export async function checkImageManifest(image: ImageToUnpack): Promise<void> {
  if (image.layers.length > MAX_LAYERS)
    fail('IMAGE_INVALID', `the image has ${image.layers.length} layers, more than ${MAX_LAYERS}`)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of image.openBlob(image.manifestDigest)) {
    size += chunk.length
    if (size > MAX_DOCUMENT_BYTES) fail('IMAGE_INVALID', 'the manifest of the image is too large')
    chunks.push(chunk)
  }
  const bytes = Buffer.concat(chunks)
  const found = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  if (found !== image.manifestDigest)
    fail(
      'HASH_MISMATCH',
      `the image manifest has the digest ${found} instead of ${image.manifestDigest}`,
      { hints: ['the copy is damaged or dishonest: nothing of it was used; try another peer'] },
    )
  const { config, layers } = parseDocument(ociManifest, bytes, 'manifest')
  const same =
    layers.length === image.layers.length &&
    layers.every((layer, i) => layer.digest === image.layers[i]!.digest)
  if (!same) otherLayers(image.manifestDigest)
  if (config.digest !== image.config)
    fail(
      'HASH_MISMATCH',
      `the configuration of the image ${image.manifestDigest} is not the one its manifest names`,
    )
}

export function otherLayers(digest: string): never {
  return fail('HASH_MISMATCH', `the layers of the image ${digest} are not those its manifest names`)
}
