import type { ParamSpec } from '../../schemas/index.ts'

export type ParamValue = string | number | boolean

/** A value, or what is wrong with it. */
export type Parsed = { readonly value: ParamValue } | { readonly fault: string }

const TRUE = new Set(['true', 'yes', '1'])
const FALSE = new Set(['false', 'no', '0'])
/** Linux takes no single argument of 128 KiB or more. */
const MAX_VALUE_BYTES = 131_071

/** Reads the text of `--set name=text` as the type asks. Files and folders are looked at elsewhere. Throws MANIFEST_INVALID for a bad `pattern`. */
export async function parseParam(spec: ParamSpec, text: string): Promise<Parsed> {
  switch (spec.type) {
    case 'int':
      if (!/^[+-]?\d+$/.test(text)) return { fault: 'is no whole number' }
      if (!Number.isSafeInteger(Number(text))) return { fault: 'is too large for a whole number' }
      return inRange(spec, Number(text))
    case 'float':
      if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return { fault: 'is no number' }
      if (!Number.isFinite(Number(text))) return { fault: 'is too large for a number' }
      return inRange(spec, Number(text))
    case 'bool': {
      const word = text.toLowerCase()
      if (TRUE.has(word)) return { value: true }
      return FALSE.has(word) ? { value: false } : { fault: 'is neither true nor false' }
    }
    case 'enum':
      return spec.values.includes(text)
        ? { value: text }
        : { fault: `is none of ${spec.values.map(value => `"${value}"`).join(', ')}` }
    case 'string':
      return await parseString(spec, text)
    default:
      return { value: text }
  }
}

function inRange(
  spec: { min?: number | undefined; max?: number | undefined },
  value: number,
): Parsed {
  if (spec.min !== undefined && value < spec.min)
    return { fault: `is below the least, ${spec.min}` }
  if (spec.max !== undefined && value > spec.max) return { fault: `is above the most, ${spec.max}` }
  // -0 and 0 are one value, in receipts too.
  return { value: value + 0 }
}

async function parseString(
  spec: Extract<ParamSpec, { type: 'string' }>,
  text: string,
): Promise<Parsed> {
  if (text.includes('\0')) return { fault: 'contains a NUL character' }
  if (!text.isWellFormed()) return { fault: 'is not valid Unicode' }
  if (spec.maxLength !== undefined && text.length > spec.maxLength)
    return { fault: `has ${text.length} characters, ${spec.maxLength} are allowed` }
  if (Buffer.byteLength(text) > MAX_VALUE_BYTES)
    return { fault: `is longer than the ${MAX_VALUE_BYTES} bytes that a command line takes` }
  if (spec.pattern !== undefined) {
    const { compileLinePattern } = await import('../core/line-pattern.ts')
    if (!compileLinePattern(spec.pattern).matches(text))
      return { fault: `does not match the pattern ${spec.pattern}` }
  }
  return { value: text }
}

/** What a parameter takes, in a few words, for hints. */
export function describeParam(name: string, spec: ParamSpec): string {
  const range =
    'min' in spec || 'max' in spec
      ? ` from ${('min' in spec ? spec.min : undefined) ?? '…'} to ${('max' in spec ? spec.max : undefined) ?? '…'}`
      : ''
  const values = spec.type === 'enum' ? ` (${spec.values.join(', ')})` : ''
  const rest =
    spec.default !== undefined
      ? `, default ${spec.default}`
      : spec.required
        ? ', required'
        : ', optional'
  return `${name}: ${spec.type}${range}${values}${rest}${spec.summary ? ` — ${spec.summary}` : ''}`
}
