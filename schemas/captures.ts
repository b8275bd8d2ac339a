import { z } from 'zod'
import { identifier } from './common.ts'
import { resolvedImage } from './manifest.ts'

/**
 * `.repro/captures.json` in an author's folder: which image each `host:` became, so that it stays the same
 * until `--recapture`. The images themselves lie in the cache.
 */
export const capturesFile = z.strictObject({
  format: z.literal(0),
  images: z.record(
    identifier,
    z.strictObject({ host: z.array(z.string()), resolved: resolvedImage }),
  ),
})
export type CapturesFile = z.infer<typeof capturesFile>
