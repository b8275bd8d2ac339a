import { z } from 'zod'
import {
  blake3Hex,
  bundleKey,
  byteCount,
  contentHash,
  isoDate,
  sha256Digest,
  tag,
} from './common.ts'
import { fidelity, runtimeName } from './host.ts'

export const verdicts = [
  'reproduced',
  'within tolerance',
  'differs',
  'failed',
  'nothing declared',
] as const
export const verdict = z.enum(verdicts)
export type Verdict = z.infer<typeof verdict>

/** One declared output against its expectation. */
export const outputResult = z.strictObject({
  path: z.string(),
  compare: z.enum(['exact', 'text', 'table', 'exists']),
  status: z.enum([
    'equal',
    'within tolerance',
    'differs',
    'missing',
    'unexpected type',
    'not compared',
  ]),
  blake3: blake3Hex.nullable(),
  size: byteCount.nullable(),
  expected: blake3Hex.nullable(),
  /** What differs, where and by how much, for people. */
  message: z.string().optional(),
  /** First difference, for machines: 1-based line, column, cell; 0-based byte. */
  at: z
    .strictObject({
      line: z.int().optional(),
      column: z.int().optional(),
      byte: z.int().optional(),
      expected: z.string().optional(),
      found: z.string().optional(),
    })
    .optional(),
  differences: z.int().min(0).optional(),
  maxAbsolute: z.number().optional(),
  maxRelative: z.number().optional(),
})
export type OutputResult = z.infer<typeof outputResult>

export const refusal = z.strictObject({ runtime: runtimeName, reason: z.string() })
export type Refusal = z.infer<typeof refusal>

const limit = z.strictObject({
  requested: z.number(),
  enforced: z.boolean(),
  by: z.string().optional(),
})

/** The signed record of one execution. */
export const receipt = z.strictObject({
  format: z.literal(0),
  id: z.string(),
  key: bundleKey.nullable(),
  release: z.int().min(1).nullable(),
  tag: tag.nullable(),
  contentHash,
  name: z.string(),
  app: z.string(),
  params: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  extraArgs: z.array(z.string()),
  command: z.array(z.string()),
  image: z.strictObject({ name: z.string(), digest: sha256Digest }).nullable(),
  runtime: z.strictObject({ name: runtimeName, version: z.string().nullable(), fidelity }),
  refused: z.array(refusal),
  argv: z.array(z.string()),
  network: z.enum(['none', 'host']),
  limits: z.strictObject({
    time: limit.optional(),
    memory: limit.optional(),
    cpus: limit.optional(),
    disk: limit.optional(),
  }),
  host: z.strictObject({
    architecture: z.string(),
    kernel: z.string(),
    cpuModel: z.string(),
    cpus: z.int(),
    memoryBytes: byteCount,
    name: z.string().optional(),
    user: z.string().optional(),
  }),
  software: z.strictObject({ repro: z.string(), node: z.string() }),
  startedAt: isoDate,
  finishedAt: isoDate,
  durationMs: z.number().min(0),
  peakMemoryBytes: byteCount.nullable(),
  exitCode: z.int().nullable(),
  signal: z.string().nullable(),
  outcome: z.enum(['completed', 'exit code', 'signal', 'timeout', 'interrupted', 'runtime failed']),
  /** How it was known that the inputs were the release's: hashed now, or known by unchanged file state since they were. */
  inputs: z.strictObject({
    files: z.int(),
    bytes: byteCount,
    blake3: blake3Hex,
    checked: z.enum(['hashed', 'stat']),
    unchangedAfterRun: z.boolean().nullable(),
  }),
  outputs: z.array(outputResult),
  verdict,
  note: z.string().optional(),
  signer: z.string().regex(/^[0-9a-f]{64}$/),
  signature: z.string().regex(/^[0-9a-f]{128}$/),
})
export type Receipt = z.infer<typeof receipt>
