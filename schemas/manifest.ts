import { z } from 'zod'
import { authorSchema, paramSchema, runtimeNames } from './author-manifest.ts'
import { blake3Hex, byteCount, FORMAT, identifier, sha256Digest } from './common.ts'
import { indexRoot } from './content-index.ts'

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
  programs: z.array(z.string()).optional(),
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
  layers: z.array(z.strictObject({ digest: sha256Digest, size: byteCount })).min(1),
  origin: imageOrigin,
  recipe: z.string().optional(),
})
export type ResolvedImage = z.infer<typeof resolvedImage>

/** What an output is compared with: bytes of a file of the bundle, or of a known hash alone. */
const expectation = z.strictObject({
  blake3: blake3Hex,
  path: z.string().optional(),
  size: byteCount.optional(),
})
export type Expectation = z.infer<typeof expectation>

const outputCommon = {
  path: z.string(),
  optional: z.literal(true).optional(),
  summary: z.string().optional(),
}
export const resolvedOutput = z.discriminatedUnion('compare', [
  z.strictObject({ compare: z.literal('exact'), expect: expectation.optional(), ...outputCommon }),
  z.strictObject({
    compare: z.literal('text'),
    ignore: z.array(z.string().max(1000)),
    expect: expectation.optional(),
    ...outputCommon,
  }),
  z.strictObject({
    compare: z.literal('table'),
    rtol: z.number().min(0),
    atol: z.number().min(0),
    delimiter: z.string().optional(),
    ignore: z.array(z.string().max(1000)),
    expect: expectation.optional(),
    ...outputCommon,
  }),
  z.strictObject({ compare: z.literal('exists'), ...outputCommon }),
])
export type ResolvedOutput = z.infer<typeof resolvedOutput>

export const resolvedResources = z.strictObject({
  cpus: z.number().positive().optional(),
  memoryBytes: byteCount.optional(),
  timeMs: byteCount.optional(),
  diskBytes: byteCount.optional(),
  gpu: z
    .strictObject({
      count: z.int().min(1),
      vendor: z.enum(['nvidia', 'amd']).optional(),
      memoryBytes: byteCount.optional(),
    })
    .optional(),
  mpi: z.strictObject({ ranks: z.int().min(1), launcher: z.enum(['host', 'inside']) }).optional(),
  arch: z.array(z.string()).optional(),
  kernel: z.string().optional(),
})
export type ResolvedResources = z.infer<typeof resolvedResources>

export const resolvedApp = z.strictObject({
  summary: z.string().optional(),
  /** Name in `images`; null for an app that runs on the host alone. */
  image: identifier.nullable(),
  command: z.array(z.string()).min(1),
  params: z.record(z.string(), paramSchema),
  /** Patterns of the bundle's paths that the app sees: in `include` and not in `exclude`. */
  inputs: z.strictObject({ include: z.array(z.string()), exclude: z.array(z.string()) }),
  out: z.string(),
  outputs: z.array(resolvedOutput),
  resources: resolvedResources,
  network: z.enum(['none', 'host']),
  env: z.record(z.string(), z.string()),
  modules: z.array(z.string()),
  tier: z.enum(['smoke', 'quick', 'full']).optional(),
  refuse: z.array(z.enum(runtimeNames)),
})
export type ResolvedApp = z.infer<typeof resolvedApp>

export const manifest = z.strictObject({
  format: z.literal(FORMAT),
  name: identifier,
  title: z.string().optional(),
  description: z.string().optional(),
  authors: z.array(authorSchema),
  license: license.optional(),
  keywords: z.array(z.string()),
  cites: z.array(z.string()),
  images: z.record(identifier, resolvedImage),
  apps: z.record(identifier, resolvedApp),
  index: indexRoot,
})
export type Manifest = z.infer<typeof manifest>
