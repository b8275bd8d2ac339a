import { z } from 'zod'
import { blake3Hex, bundleKey, byteCount, contentHash, FORMAT, isoDate, tag } from './common.ts'
import { indexRoot } from './content-index.ts'

/** `.repro/releases/<n>.json`: the record whose presence makes a release. Canonical JSON. */
export const releaseRecord = z.strictObject({
  format: z.literal(FORMAT),
  key: bundleKey,
  release: z.int().min(1),
  tag: tag.optional(),
  message: z.string().max(10_000).optional(),
  date: isoDate,
  /** Length of the drive's Bee just before this record was put: readers read `checkout(driveVersion)`. */
  driveVersion: z.int().min(1),
  contentHash,
  files: z.int().min(0),
  bytes: byteCount,
  /** Ed25519 public keys (hex) that may say where the bundle goes on; release 1 only. */
  successors: z
    .array(z.string().regex(/^[0-9a-f]{64}$/))
    .max(16)
    .optional(),
  /** The core's manifest in Hypercore's own encoding, hex: its hash is the key, its signer signs the record. */
  coreManifest: z.string().regex(/^[0-9a-f]{2,4096}$/),
  /** Ed25519 over `repro-release-v1\n` and the canonical record without this field, hex. */
  signature: z.string().regex(/^[0-9a-f]{128}$/),
})
export type ReleaseRecord = z.infer<typeof releaseRecord>

/** What a reader keeps of every release it saw, to notice rewritten history. */
export const seenRelease = z.strictObject({
  key: bundleKey,
  fork: z.int().min(0),
  release: z.int().min(1),
  tag: tag.optional(),
  contentHash,
  driveVersion: z.int().min(1),
  /** Merkle tree hash of the Bee's core at `driveVersion`, hex. */
  treeHash: blake3Hex,
})
export type SeenRelease = z.infer<typeof seenRelease>

/** `<home>/seen/<key>.json`: all a reader keeps of one bundle's history. */
export const seenFile = z.strictObject({
  format: z.literal(FORMAT),
  key: bundleKey,
  name: z.string().optional(),
  releases: z.array(seenRelease),
  /** Length of the Bee up to which every block was looked at for rewritten records. */
  scanned: z.int().min(0),
  /** Where each record was put first, by release number. */
  puts: z.record(z.string(), z.int().min(0)),
  /** Of an own bundle: how many blocks of files it had when its last release was made. */
  bytes: z.int().min(0).optional(),
  /** What was found rewritten, by release number. */
  faults: z.record(z.string(), z.string()),
  /** Another history that the owner signed: it was not followed. */
  fork: z
    .strictObject({
      /** Which core of the drive. */
      core: z.enum(['tree', 'bytes']),
      fork: z.int().min(0),
      length: z.int().min(0),
      /** How many blocks both histories share, at least; null when that is not known. */
      shared: z.int().min(0).nullable(),
    })
    .optional(),
})
export type SeenFile = z.infer<typeof seenFile>
export type SeenFork = NonNullable<SeenFile['fork']>

/** How far a bundle's history went: its newest release, and the lengths of its two cores. */
export const knownHistory = z.strictObject({
  release: z.int().min(0),
  tree: z.int().min(0),
  bytes: z.int().min(0),
})
export type KnownHistory = z.infer<typeof knownHistory>

/**
 * `<home>/bundles/<key>.json`: this home can write the bundle. Its key pair is derived from the home's seed and `id`
 * where it was made here, from `secret` where it was imported.
 */
const ownBundle = z.strictObject({
  format: z.literal(FORMAT),
  key: bundleKey,
  /** Nothing is written under the key before its whole history was brought here from peers. */
  mustSync: z.literal(true).optional(),
  /** Of an imported key: nothing is written before this much of the history is here. */
  atLeast: knownHistory.optional(),
})
export const ownBundleFile = z.union([
  ownBundle.extend({ id: z.string().regex(/^[0-9a-f]{32}$/) }),
  ownBundle.extend({ secret: z.string().regex(/^[0-9a-f]{64}$/) }),
])
export type OwnBundleFile = z.infer<typeof ownBundleFile>

/** `<home>/bundles/<key>.writing`: a process began to write the bundle, and has not ended well. */
export const writingFile = z.strictObject({
  format: z.literal(FORMAT),
  key: bundleKey,
  /** Boot id of the kernel it ran under; null when that could not be told. */
  boot: z.string().max(64).nullable(),
  pid: z.int().min(1),
})

/** `.repro/checkout.json` in a folder that `repro get` wrote. */
export const checkoutFile = z.strictObject({
  format: z.literal(FORMAT),
  key: bundleKey.nullable(),
  release: z.int().min(1).nullable(),
  contentHash,
  /** False while files are being written: the folder may hold files of two releases. */
  complete: z.boolean(),
  /** True when only a part of the release was asked for: what is not in `selected` is not missing. */
  partial: z.boolean(),
  /** Of a part: every path of the release that was asked for, and those kept from before. */
  selected: z.array(z.string()).optional(),
  /** While incomplete: the indexes of the releases whose files may stand here besides those of `release`. */
  started: z.array(indexRoot).max(16).optional(),
})
export type CheckoutFile = z.infer<typeof checkoutFile>

/** `.repro/bundle.json` in an author's folder: which bundle the folder publishes to. */
export const bundleFile = z.strictObject({
  format: z.literal(FORMAT),
  key: bundleKey,
  release: z.int().min(0),
  contentHash: contentHash.optional(),
})
export type BundleFile = z.infer<typeof bundleFile>
