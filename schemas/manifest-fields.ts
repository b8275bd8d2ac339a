import { z } from 'zod'

/** Fields that the author's manifest and the published one have in common: what authors may not write, readers do not take. */

/** Items of any one list of an app: words of a command, patterns, outputs, parameters, variables. */
export const MAX_ITEMS = 1000
/** Few enough that one list can name the output folder of each. */
export const MAX_APPS = 500
export const MAX_IMAGES = 500
/** Layers of one image. */
export const MAX_IMAGE_LAYERS = 512
export const MAX_IGNORE_PATTERNS = 100
/** People of a paper, its references, its keywords. */
export const MAX_CITED = 10_000
/** Linux takes no single argument of 128 KiB or more. */
const MAX_ARGUMENT = 131_071

const noNul = (form: z.ZodString) => form.regex(/^[^\u0000]*$/, 'contains a NUL character')

/** One word of a command line, or the value of a variable. */
export const argument = noNul(z.string().max(MAX_ARGUMENT))
export const variableName = z
  .string()
  .max(255)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected a name of an environment variable')
export const paramName = z
  .string()
  .max(64)
  .regex(/^[A-Za-z_][A-Za-z0-9_-]*$/, 'expected a parameter name of letters, digits, "_" and "-"')
export const moduleName = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9._+/-]+$/, 'expected a module like R/3.4.2')
/** Bounded here; what a path or pattern may hold are rules of core, so that their messages are one. */
export const pathText = z.string().min(1).max(4096)
export const ignorePattern = z.string().max(1000)
export const tolerance = z.number().min(0)
export const delimiterText = z.string().length(1)
export const architecture = z.enum(['amd64', 'arm64', 'ppc64le', 's390x', 'riscv64'])
export const kernelVersion = z
  .string()
  .max(64)
  .regex(/^\d+\.\d+(\.\d+)?$/, 'expected a kernel version like 4.18')
export const cpuCount = z.number().positive().max(100_000)
export const gpuCount = z.int().min(1).max(100_000)
export const rankCount = z.int().min(1).max(10_000_000)

/** A mapping of at most `max` names. */
export function boundedRecord<K extends z.ZodType<string>, V extends z.ZodType>(
  key: K,
  value: V,
  max: number,
) {
  return z
    .record(key, value)
    .refine(found => Object.keys(found).length <= max, `expected at most ${max} names`)
}
