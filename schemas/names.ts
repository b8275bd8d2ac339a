import { z } from 'zod'
import { bundleKey, identifier } from './common.ts'

/** `names.json` of a home: local names of bundles. */
export const namesFile = z.strictObject({
  format: z.literal(0),
  names: z.record(identifier, bundleKey),
})
export type NamesFile = z.infer<typeof namesFile>

/** One release that `repro prune` never touches. */
const pin = z.strictObject({ key: bundleKey, release: z.int().min(1) })
export type Pin = z.infer<typeof pin>

/** `pins.json` of a home. */
export const pinsFile = z.strictObject({ format: z.literal(0), pins: z.array(pin) })
export type PinsFile = z.infer<typeof pinsFile>
