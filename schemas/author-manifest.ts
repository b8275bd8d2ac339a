import { z } from 'zod'
import { identifier } from './common.ts'
import {
  architecture,
  argument,
  boundedRecord,
  cpuCount,
  delimiterText,
  gpuCount,
  ignorePattern,
  kernelVersion,
  MAX_APPS,
  MAX_CITED,
  MAX_IGNORE_PATTERNS,
  MAX_IMAGES,
  MAX_ITEMS,
  moduleName,
  paramName,
  pathText,
  rankCount,
  tolerance,
  variableName,
} from './manifest-fields.ts'

/** `repro.yaml` as an author writes it (design.md §3). docs/manifest.md explains every field. */

const quantity = (units: string, example: string) =>
  z.union([
    z.int().min(0),
    z
      .string()
      .regex(
        new RegExp(`^[0-9]+(\\.[0-9]+)? ?(${units})$`),
        `expected a number with a unit, like ${example}`,
      ),
  ])
/** `4GiB`, `500MB`, or a plain number of bytes. */
export const sizeText = quantity('B|[kKMGTP]B|[KMGTP]iB', '4GiB')
/** `90s`, `10min`, `2h`, `1d`, or a plain number of seconds. */
export const durationText = quantity('s|min|h|d', '10min')

export const authorSchema = z.strictObject({
  name: z.string().min(1),
  orcid: z
    .string()
    .regex(
      /^(https:\/\/orcid\.org\/)?\d{4}-\d{4}-\d{4}-\d{3}[\dX]$/,
      'expected an ORCID like 0000-0002-1825-0097',
    )
    .optional(),
  affiliation: z.string().optional(),
  email: z.string().optional(),
})

const spdx = z
  .string()
  .regex(/^[A-Za-z0-9 .+()-]+$/, 'expected an SPDX expression like MIT or CC-BY-4.0')
const license = z.union([
  spdx,
  z.strictObject({ code: spdx.optional(), data: spdx.optional(), images: spdx.optional() }),
])

const imageSource = z.strictObject({
  source: z.string().min(1),
  recipe: z.string().optional(),
})
const imageHost = z.strictObject({
  host: z.array(z.string().min(1)).min(1).max(MAX_ITEMS),
})
export const imageSchema = z.union([imageSource, imageHost])

const paramCommon = {
  summary: z.string().optional(),
  /** How the value reaches the command: `flag: --threads` (two arguments), `flag: --threads=` (one), `positional: n`, `env: NAME`. */
  flag: z
    .string()
    .max(255)
    .regex(/^-{1,2}[A-Za-z0-9][A-Za-z0-9._-]*=?$/, 'expected a flag like --threads')
    .optional(),
  positional: z.int().min(1).max(1000).optional(),
  env: variableName.optional(),
  required: z.boolean().optional(),
}
export const paramSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('int'),
    default: z.int().optional(),
    min: z.int().optional(),
    max: z.int().optional(),
    ...paramCommon,
  }),
  z.strictObject({
    type: z.literal('float'),
    default: z.number().optional(),
    min: z.number().optional(),
    max: z.number().optional(),
    ...paramCommon,
  }),
  z.strictObject({ type: z.literal('bool'), default: z.boolean().optional(), ...paramCommon }),
  z.strictObject({
    type: z.literal('string'),
    default: argument.optional(),
    pattern: ignorePattern.optional(),
    maxLength: z.int().min(0).optional(),
    ...paramCommon,
  }),
  z.strictObject({
    type: z.literal('enum'),
    values: z.array(argument).min(1).max(MAX_ITEMS),
    default: argument.optional(),
    ...paramCommon,
  }),
  z.strictObject({ type: z.literal('file'), default: argument.optional(), ...paramCommon }),
  z.strictObject({ type: z.literal('folder'), default: argument.optional(), ...paramCommon }),
])

const outputCommon = {
  path: pathText,
  expect: pathText.optional(),
  optional: z.boolean().optional(),
  summary: z.string().optional(),
}
const ignorePatterns = z.union([ignorePattern, z.array(ignorePattern).max(MAX_IGNORE_PATTERNS)])
export const outputSchema = z.discriminatedUnion('compare', [
  z.strictObject({ compare: z.literal('exact'), ...outputCommon }),
  z.strictObject({
    compare: z.literal('text'),
    ignore: ignorePatterns.optional(),
    ...outputCommon,
  }),
  z.strictObject({
    compare: z.literal('table'),
    rtol: tolerance.optional(),
    atol: tolerance.optional(),
    delimiter: delimiterText.optional(),
    ignore: ignorePatterns.optional(),
    ...outputCommon,
  }),
  z.strictObject({ compare: z.literal('exists'), ...outputCommon }),
])

export const resourcesSchema = z.strictObject({
  cpus: cpuCount.optional(),
  memory: sizeText.optional(),
  time: durationText.optional(),
  disk: sizeText.optional(),
  gpu: z
    .union([
      z.int().min(0).max(100_000),
      z.strictObject({
        count: gpuCount,
        vendor: z.enum(['nvidia', 'amd']).optional(),
        memory: sizeText.optional(),
      }),
    ])
    .optional(),
  mpi: z
    .strictObject({ ranks: rankCount, launcher: z.enum(['host', 'inside']).optional() })
    .optional(),
  arch: z.array(architecture).min(1).max(MAX_ITEMS).optional(),
  kernel: kernelVersion.optional(),
})

export const runtimeNames = [
  'apptainer',
  'singularity',
  'podman',
  'docker',
  'charliecloud',
  'bubblewrap',
  'crun',
  'runc',
  'unshare',
  'proot',
  'chroot',
  'nspawn',
  'udocker',
  'enroot',
  'host',
] as const

export const appSchema = z.strictObject({
  summary: z.string().optional(),
  image: identifier.optional(),
  command: z.array(argument).min(1).max(MAX_ITEMS),
  params: boundedRecord(paramName, paramSchema, MAX_ITEMS).optional(),
  inputs: z.array(pathText).max(MAX_ITEMS).optional(),
  out: pathText.optional(),
  outputs: z.array(outputSchema).max(MAX_ITEMS).optional(),
  resources: resourcesSchema.optional(),
  network: z.enum(['none', 'host']).optional(),
  env: boundedRecord(variableName, argument, MAX_ITEMS).optional(),
  modules: z.array(moduleName).max(MAX_ITEMS).optional(),
  tier: z.enum(['smoke', 'quick', 'full']).optional(),
  /** Runtimes the author rules out, for example because one is known to give other results. */
  refuse: z.array(z.enum(runtimeNames)).max(MAX_ITEMS).optional(),
})

export const authorManifest = z.strictObject({
  repro: z.literal(1),
  name: identifier,
  title: z.string().optional(),
  description: z.string().optional(),
  authors: z.array(authorSchema).max(MAX_CITED).optional(),
  license: license.optional(),
  keywords: z.array(z.string()).max(MAX_CITED).optional(),
  cites: z.array(z.string()).max(MAX_CITED).optional(),
  /** Paths that stay out of the bundle. */
  exclude: z.array(z.string().min(1)).optional(),
  /** Files that look like secrets and are published on purpose. */
  allowSecrets: z.array(z.string().min(1)).optional(),
  images: boundedRecord(identifier, imageSchema, MAX_IMAGES).optional(),
  apps: boundedRecord(identifier, appSchema, MAX_APPS).optional(),
})
export type AuthorManifest = z.infer<typeof authorManifest>
export type AuthorApp = z.infer<typeof appSchema>
export type AuthorImage = z.infer<typeof imageSchema>
export type ParamSpec = z.infer<typeof paramSchema>
