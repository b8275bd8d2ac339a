import type { z } from 'zod'
import { describeValue, type Finding, shorten } from './manifest-fault.ts'
import { keysAt } from './schema-shape.ts'
import { nearest } from './text.ts'

type Issue = z.core.$ZodIssue
type Path = (string | number)[]

const NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
}

/** What zod found wrong with `value`, in words for the author of a file: every issue, none twice. */
export function schemaFindings(
  schema: z.core.$ZodType,
  value: unknown,
  issues: readonly Issue[],
): Finding[] {
  const walk = (issue: Issue, base: Path): Finding[] => {
    const path: Path = [...base, ...(issue.path as Path)]
    const found = valueAt(value, path)
    if (issue.code === 'unrecognized_keys') {
      const known = keysAt(schema, path, value)
      return issue.keys.map(key => unknownKey([...path, key], key, known))
    }
    if (issue.code === 'invalid_union' && issue.discriminator !== undefined)
      return discriminatorFindings(issue, path)
    if (issue.code === 'invalid_union') {
      const branch = bestBranch(issue.errors, found)
      if (branch) return branch.flatMap(inner => walk(inner, path))
      return [{ path, value: found, message: unionMessage(issue, found) }]
    }
    if (issue.code === 'invalid_key') {
      const message = issue.issues[0]?.message ?? 'this key is not allowed'
      return [{ path, at: 'key', message: `bad name "${String(path.at(-1))}": ${message}` }]
    }
    return [{ path, value: found, ...say(issue, found) }]
  }
  /** Without its discriminator a mapping was not looked at further: unknown keys are found here. */
  const discriminatorFindings = (issue: z.core.$ZodIssueInvalidUnion, path: Path): Finding[] => {
    const options = ('options' in issue ? (issue.options as unknown[]) : []).map(String)
    const word = valueAt(value, path)
    const list = options.map(option => `"${option}"`).join(', ')
    const known = keysAt(schema, path.slice(0, -1), value)
    const unknown = Object.keys(Object(valueAt(value, path.slice(0, -1)))).filter(
      key => !known.includes(key),
    )
    const near = typeof word === 'string' ? nearest(word, options) : undefined
    const message =
      word === undefined
        ? `is missing: expected one of ${list}`
        : `expected one of ${list}, found ${describeValue(word)}`
    return [
      { path, value: word, message, nearest: near },
      ...unknown.map(key => unknownKey([...path.slice(0, -1), key], key, known)),
    ]
  }
  return issues.flatMap(issue => walk(issue, []))
}

const unknownKey = (path: Path, key: string, known: readonly string[]): Finding => ({
  path,
  at: 'key',
  message: `unknown key "${shorten(key)}"`,
  nearest: nearest(key, known),
})

function say(issue: Issue, found: unknown): { message: string; nearest?: string } {
  const but = `found ${describeValue(found)}`
  switch (issue.code) {
    case 'invalid_type': {
      if (found === undefined) return { message: `is missing: expected ${nameOf(issue.expected)}` }
      return { message: `expected ${nameOf(issue.expected)}, ${but}` }
    }
    case 'invalid_value': {
      const values = issue.values.map(v => (typeof v === 'string' ? `"${v}"` : String(v)))
      const near = typeof found === 'string' ? nearest(found, issue.values.map(String)) : undefined
      if (found === undefined)
        return {
          message: `is missing: expected ${issue.path.at(-1) === 'repro' ? 'the line "repro: 1", by which the file is known from those of other programs' : values.join(' or ')}`,
        }
      return {
        message: `expected ${values.length === 1 ? values[0] : `one of ${values.join(', ')}`}, ${but}`,
        ...(near === undefined ? {} : { nearest: near }),
      }
    }
    case 'too_small':
    case 'too_big': {
      const word = issue.code === 'too_small' ? 'at least' : 'at most'
      const limit = String(issue.code === 'too_small' ? issue.minimum : issue.maximum)
      const countable = issue.origin === 'string' || issue.origin === 'array'
      if (countable && limit === '1' && word === 'at least') return { message: 'must not be empty' }
      if (issue.origin === 'string') return { message: `expected ${word} ${limit} characters` }
      if (issue.origin === 'array') return { message: `expected ${word} ${limit} entries, ${but}` }
      const strict =
        issue.inclusive === false ? (word === 'at least' ? 'more than' : 'less than') : word
      return { message: `expected ${strict} ${limit}, ${but}` }
    }
    default:
      return { message: `${issue.message}, ${but}` }
  }
}

const nameOf = (expected: string) => NAMES[expected] ?? expected

/** The alternative the author meant: one that takes this kind of value, with the fewest complaints. */
function bestBranch(branches: readonly (readonly Issue[])[], found: unknown) {
  const wrongKind = (issues: readonly Issue[]) =>
    issues.some(issue => issue.code === 'invalid_type' && issue.path.length === 0)
  const fitting = branches.filter(issues => issues.length > 0 && !wrongKind(issues))
  if (found === undefined || fitting.length === 0) return undefined
  return fitting.reduce((best, issues) => (issues.length < best.length ? issues : best))
}

function unionMessage(issue: z.core.$ZodIssueInvalidUnion, found: unknown): string {
  const kinds = issue.errors.flatMap(branch =>
    branch.flatMap(i =>
      i.code === 'invalid_type' && i.path.length === 0 ? [nameOf(i.expected)] : [],
    ),
  )
  return `expected ${[...new Set(kinds)].join(' or ')}, found ${describeValue(found)}`
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root
  for (const part of path) value = (value as Record<string, unknown> | null | undefined)?.[part]
  return value
}
