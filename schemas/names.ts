import { z } from 'zod'
import { bundleKey, identifier } from './common.ts'

/** `names.json` of a home: local names of bundles. */
export const namesFile = z.strictObject({
  format: z.literal(0),
  names: z.record(identifier, bundleKey),
})
export type NamesFile = z.infer<typeof namesFile>
