import { z } from 'zod'
import { runtimeNames } from './author-manifest.ts'
import { byteCount } from './common.ts'

/** How much of the declared environment a runtime gives, best first. */
export const fidelities = ['image-isolated', 'image', 'host'] as const
export const fidelity = z.enum(fidelities)
export type Fidelity = z.infer<typeof fidelity>
export const runtimeName = z.enum(runtimeNames)
export type RuntimeName = z.infer<typeof runtimeName>

/** The outcome of really starting a runtime once on this host. */
export const runtimeReport = z.strictObject({
  name: runtimeName,
  works: z.boolean(),
  fidelity,
  version: z.string().nullable(),
  binary: z.string().nullable(),
  /** Why it cannot run here, one sentence; null when it works. */
  reason: z.string().nullable(),
  /** What to type to have it, in order; empty when it works. */
  remedies: z.array(z.string()),
  startMs: z.number().nullable(),
  /** Facts of the probe that the adapter's command line depends on. */
  facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
})
export type RuntimeReport = z.infer<typeof runtimeReport>

export const check = z.strictObject({
  name: z.string(),
  status: z.enum(['ok', 'warn', 'bad', 'info']),
  value: z.string(),
  detail: z.string().optional(),
  remedies: z.array(z.string()),
})
export type Check = z.infer<typeof check>

/** What `repro doctor` found. */
export const hostReport = z.strictObject({
  format: z.literal(0),
  architecture: z.string(),
  kernel: z.string(),
  cpus: z.int(),
  cpuModel: z.string(),
  cpuLevel: z.string().nullable(),
  memoryBytes: byteCount,
  uid: z.int(),
  checks: z.array(check),
  runtimes: z.array(runtimeReport),
})
export type HostReport = z.infer<typeof hostReport>
