import { z } from 'zod'
import { blake3Hex, byteCount } from './common.ts'

const file = z.strictObject({
  path: z.string(),
  type: z.literal('file'),
  size: byteCount,
  executable: z.literal(true).optional(),
  blake3: blake3Hex,
})
const link = z.strictObject({ path: z.string(), type: z.literal('link'), target: z.string() })
const emptyFolder = z.strictObject({ path: z.string(), type: z.literal('folder') })

/** One line of the content index: a file, a symbolic link, or an empty folder. */
export const indexEntry = z.discriminatedUnion('type', [file, link, emptyFolder])
export type IndexEntry = z.infer<typeof indexEntry>
export type FileEntry = z.infer<typeof file>

/** One line of a list of segments: where a segment of the level below lies, and what it covers. */
export const segmentLine = z.strictObject({
  segment: blake3Hex,
  first: z.string(),
  last: z.string(),
  entries: z.int().min(1),
  bytes: byteCount,
})
export type SegmentLine = z.infer<typeof segmentLine>

/** How the manifest names an index: BLAKE3 of the root segment and its totals. */
export const indexRoot = z.strictObject({
  blake3: blake3Hex,
  entries: z.int().min(0),
  files: z.int().min(0),
  bytes: byteCount,
})
export type IndexRoot = z.infer<typeof indexRoot>
