import { z } from 'zod'
import { blake3Hex, bundleKey, contentHash, sha256Digest, tag } from './common.ts'
import { indexEntry } from './content-index.ts'
import { manifest } from './manifest.ts'

/**
 * `stage.json`: a folder that can be executed without store, network or native modules.
 * Beside it: `bundle/` (the app's inputs) and, for an app with an image, a rootfs in the cache.
 */
export const stageFile = z.strictObject({
  format: z.literal(0),
  key: bundleKey.nullable(),
  release: z.int().min(1).nullable(),
  tag: tag.nullable(),
  contentHash,
  app: z.string(),
  manifest,
  /** The index entries that lie in `bundle/`. */
  entries: z.array(indexEntry),
  /** Expected outputs that lie in `expected/`, each named by its BLAKE3. */
  expected: z.array(blake3Hex),
  /** File state noted when each file was hashed, by path in the stage: `dev:ino:size:mtimeNs:ctimeNs`. */
  state: z.record(z.string(), z.string()),
  /** The unpacked image; the path is relative to the stage. */
  rootfs: z
    .strictObject({
      digest: sha256Digest,
      path: z.string(),
      /** PATH as the image's configuration gives it. */
      searchPath: z.string().nullable(),
    })
    .nullable(),
})
export type StageFile = z.infer<typeof stageFile>
