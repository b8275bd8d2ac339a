import { z } from 'zod'
import { authorSchema, paramSchema, runtimeNames } from './author-manifest.ts'
import { blake3Hex, byteCount, FORMAT, identifier, sha256Digest } from './common.ts'
import { indexRoot } from './content-index.ts'
import {
  architecture,
  argument,
  boundedRecord,
  cpuCount,
  delimiterText,
  gpuCount,
  ignorePattern,
  kernelVersion,
  MAX_APPS,
  MAX_CITED,
  MAX_IGNORE_PATTERNS,
  MAX_IMAGE_LAYERS,
  MAX_IMAGES,
  MAX_ITEMS,
  moduleName,
  paramName,
  pathText,
  rankCount,
  tolerance,
  variableName,
} from './manifest-fields.ts'

/** `.repro/manifest.json`: the manifest as published, canonical JSON, everything resolved. Its BLAKE3 is the content hash. */

const license = z.strictObject({
  code: z.string().optional(),
  data: z.string().optional(),
  images: z.string().optional(),
})

/** Where an image came from; provenance only, nothing of it is trusted. */
const imageOrigin = z.strictObject({
  kind: z.enum([
    'oci-layout',
    'oci-archive',
    'docker-archive',
    'rootfs-tar',
    'rootfs-folder',
    'host',
  ]),
  /** The path in the author's folder, for `source:`. */
  path: z.string().optional(),
  /** The digest of the OCI manifest as the author's tools had it, when it differs from ours. */
  digest: sha256Digest.optional(),
  /** The programs asked for, for `host:`. */
  programs: z.array(z.string()).max(MAX_ITEMS).optional(),
})

/** An image of the bundle. Its files lie under `.repro/images/<name>/` as an OCI layout with uncompressed layers. */
export const resolvedImage = z.strictObject({
  /** Digest of the OCI image manifest. */
  digest: sha256Digest,
  /** Digest of the image configuration. */
  config: sha256Digest,
  architecture: z.string(),
  os: z.literal('linux'),
  variant: z.string().optional(),
  /** diffIDs of the uncompressed layers, lowest first. */
  layers: z
    .array(z.strictObject({ digest: sha256Digest, size: byteCount }))
    .min(1)
    .max(MAX_IMAGE_LAYERS),
  origin: imageOrigin,
  recipe: z.string().optional(),
})
export type ResolvedImage = z.infer<typeof resolvedImage>

/** What an output is compared with: bytes of a file of the bundle, or of a known hash alone. */
const expectation = z.strictObject({
  blake3: blake3Hex,
  path: pathText.optional(),
  size: byteCount.optional(),
})
export type Expectation = z.infer<typeof expectation>

const outputCommon = {
  path: pathText,
  optional: z.literal(true).optional(),
  summary: z.string().optional(),
}
export const resolvedOutput = z.discriminatedUnion('compare', [
  z.strictObject({ compare: z.literal('exact'), expect: expectation.optional(), ...outputCommon }),
  z.strictObject({
    compare: z.literal('text'),
    ignore: z.array(ignorePattern).max(MAX_IGNORE_PATTERNS),
    expect: expectation.optional(),
    ...outputCommon,
  }),
  z.strictObject({
    compare: z.literal('table'),
    rtol: tolerance,
    atol: tolerance,
    delimiter: delimiterText.optional(),
    ignore: z.array(ignorePattern).max(MAX_IGNORE_PATTERNS),
    expect: expectation.optional(),
    ...outputCommon,
  }),
  z.strictObject({ compare: z.literal('exists'), ...outputCommon }),
])
export type ResolvedOutput = z.infer<typeof resolvedOutput>

export const resolvedResources = z.strictObject({
  cpus: cpuCount.optional(),
  memoryBytes: byteCount.optional(),
  timeMs: byteCount.optional(),
  diskBytes: byteCount.optional(),
  gpu: z
    .strictObject({
      count: gpuCount,
      vendor: z.enum(['nvidia', 'amd']).optional(),
      memoryBytes: byteCount.optional(),
    })
    .optional(),
  mpi: z.strictObject({ ranks: rankCount, launcher: z.enum(['host', 'inside']) }).optional(),
  arch: z.array(architecture).max(MAX_ITEMS).optional(),
  kernel: kernelVersion.optional(),
})
export type ResolvedResources = z.infer<typeof resolvedResources>

export const resolvedApp = z.strictObject({
  summary: z.string().optional(),
  /** Name in `images`; null for an app that runs on the host alone. */
  image: identifier.nullable(),
  command: z.array(argument).min(1).max(MAX_ITEMS),
  params: boundedRecord(paramName, paramSchema, MAX_ITEMS),
  /** Patterns of the bundle's paths that the app sees: in `include` and not in `exclude`. */
  inputs: z.strictObject({
    include: z.array(pathText).max(MAX_ITEMS),
    exclude: z.array(pathText).max(MAX_ITEMS),
  }),
  out: pathText,
  outputs: z.array(resolvedOutput).max(MAX_ITEMS),
  resources: resolvedResources,
  network: z.enum(['none', 'host']),
  env: boundedRecord(variableName, argument, MAX_ITEMS),
  modules: z.array(moduleName).max(MAX_ITEMS),
  tier: z.enum(['smoke', 'quick', 'full']).optional(),
  refuse: z.array(z.enum(runtimeNames)).max(MAX_ITEMS),
})
export type ResolvedApp = z.infer<typeof resolvedApp>

export const manifest = z.strictObject({
  format: z.literal(FORMAT),
  name: identifier,
  title: z.string().optional(),
  description: z.string().optional(),
  authors: z.array(authorSchema).max(MAX_CITED),
  license: license.optional(),
  keywords: z.array(z.string()).max(MAX_CITED),
  cites: z.array(z.string()).max(MAX_CITED),
  images: boundedRecord(identifier, resolvedImage, MAX_IMAGES),
  apps: boundedRecord(identifier, resolvedApp, MAX_APPS),
  index: indexRoot,
})
export type Manifest = z.infer<typeof manifest>
