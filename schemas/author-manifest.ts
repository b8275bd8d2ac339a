import { z } from 'zod'
import { identifier } from './common.ts'

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
const imageHost = z.strictObject({ host: z.array(z.string().min(1)).min(1) })
export const imageSchema = z.union([imageSource, imageHost])

const paramCommon = {
  summary: z.string().optional(),
  /** How the value reaches the command: `flag: --threads` (two arguments), `flag: --threads=` (one), `positional: n`, `env: NAME`. */
  flag: z
    .string()
    .regex(/^-{1,2}[A-Za-z0-9][A-Za-z0-9._-]*=?$/, 'expected a flag like --threads')
    .optional(),
  positional: z.int().min(1).max(1000).optional(),
  env: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected a name of an environment variable')
    .optional(),
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
    default: z.string().optional(),
    pattern: z.string().max(1000).optional(),
    maxLength: z.int().min(0).optional(),
    ...paramCommon,
  }),
  z.strictObject({
    type: z.literal('enum'),
    values: z.array(z.string()).min(1),
    default: z.string().optional(),
    ...paramCommon,
  }),
  z.strictObject({ type: z.literal('file'), default: z.string().optional(), ...paramCommon }),
  z.strictObject({ type: z.literal('folder'), default: z.string().optional(), ...paramCommon }),
])

const outputCommon = {
  path: z.string().min(1),
  expect: z.string().min(1).optional(),
  optional: z.boolean().optional(),
  summary: z.string().optional(),
}
const ignorePatterns = z.union([z.string().max(1000), z.array(z.string().max(1000)).max(100)])
export const outputSchema = z.discriminatedUnion('compare', [
  z.strictObject({ compare: z.literal('exact'), ...outputCommon }),
  z.strictObject({
    compare: z.literal('text'),
    ignore: ignorePatterns.optional(),
    ...outputCommon,
  }),
  z.strictObject({
    compare: z.literal('table'),
    rtol: z.number().min(0).optional(),
    atol: z.number().min(0).optional(),
    delimiter: z.string().min(1).max(1).optional(),
    ignore: ignorePatterns.optional(),
    ...outputCommon,
  }),
  z.strictObject({ compare: z.literal('exists'), ...outputCommon }),
])

export const resourcesSchema = z.strictObject({
  cpus: z.number().positive().max(100_000).optional(),
  memory: sizeText.optional(),
  time: durationText.optional(),
  disk: sizeText.optional(),
  gpu: z
    .union([
      z.int().min(0),
      z.strictObject({
        count: z.int().min(1),
        vendor: z.enum(['nvidia', 'amd']).optional(),
        memory: sizeText.optional(),
      }),
    ])
    .optional(),
  mpi: z
    .strictObject({ ranks: z.int().min(1), launcher: z.enum(['host', 'inside']).optional() })
    .optional(),
  arch: z
    .array(z.enum(['amd64', 'arm64', 'ppc64le', 's390x', 'riscv64']))
    .min(1)
    .optional(),
  kernel: z
    .string()
    .regex(/^\d+\.\d+(\.\d+)?$/, 'expected a kernel version like 4.18')
    .optional(),
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
  command: z.array(z.string()).min(1),
  params: z
    .record(
      z
        .string()
        .regex(
          /^[A-Za-z_][A-Za-z0-9_-]*$/,
          'expected a parameter name of letters, digits, "_" and "-"',
        ),
      paramSchema,
    )
    .optional(),
  inputs: z.array(z.string().min(1)).optional(),
  out: z.string().min(1).optional(),
  outputs: z.array(outputSchema).optional(),
  resources: resourcesSchema.optional(),
  network: z.enum(['none', 'host']).optional(),
  env: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected a name of an environment variable'),
      z.string(),
    )
    .optional(),
  modules: z
    .array(z.string().regex(/^[A-Za-z0-9._+/-]+$/, 'expected a module like R/3.4.2'))
    .optional(),
  tier: z.enum(['smoke', 'quick', 'full']).optional(),
  /** Runtimes the author rules out, for example because one is known to give other results. */
  refuse: z.array(z.enum(runtimeNames)).optional(),
})

export const authorManifest = z.strictObject({
  repro: z.literal(1),
  name: identifier,
  title: z.string().optional(),
  description: z.string().optional(),
  authors: z.array(authorSchema).optional(),
  license: license.optional(),
  keywords: z.array(z.string()).optional(),
  cites: z.array(z.string()).optional(),
  /** Paths that stay out of the bundle. */
  exclude: z.array(z.string().min(1)).optional(),
  /** Files that look like secrets and are published on purpose. */
  allowSecrets: z.array(z.string().min(1)).optional(),
  images: z.record(identifier, imageSchema).optional(),
  apps: z.record(identifier, appSchema).optional(),
})
export type AuthorManifest = z.infer<typeof authorManifest>
export type AuthorApp = z.infer<typeof appSchema>
export type AuthorImage = z.infer<typeof imageSchema>
export type ParamSpec = z.infer<typeof paramSchema>
