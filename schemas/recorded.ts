import { z } from 'zod'
import { blake3Hex, byteCount, identifier, isoDate, sha256Digest } from './common.ts'
import { runtimeName } from './host.ts'

/** What one `repro run . --record` wrote for one app. */
const recordedApp = z.strictObject({
  /** Digest of the OCI manifest of the image the outputs were made under; null for an app without image. */
  image: sha256Digest.nullable(),
  runtime: runtimeName,
  recordedAt: isoDate,
  params: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  /** By path in `out`: what was written to `file` in the author's folder. */
  outputs: z.record(
    z.string(),
    z.strictObject({ file: z.string(), blake3: blake3Hex, size: byteCount }),
  ),
})
export type RecordedApp = z.infer<typeof recordedApp>

/**
 * `.repro/recorded.json` in an author's folder: under which image each app's expectations were recorded,
 * so that publish can refuse stale ones (EXPECTATION_STALE).
 */
export const recordedFile = z.strictObject({
  format: z.literal(0),
  apps: z.record(identifier, recordedApp),
})
export type RecordedFile = z.infer<typeof recordedFile>
