import { createRequire } from 'node:module'
import type { RE2JS } from 're2js'
import { fail } from './errors.ts'

/** Loaded with the first pattern: most manifests have none, and its tables take long. */
let engine: typeof RE2JS | null = null

function re2(): typeof RE2JS {
  engine ??= (createRequire(import.meta.url)('re2js') as { RE2JS: typeof RE2JS }).RE2JS
  return engine
}

/** A pattern of a stranger's manifest (`ignore:`, `pattern:`), matched in time linear in the text. */
export interface LinePattern {
  readonly text: string
  /** True when the pattern matches anywhere in `line`. */
  finds(line: string): boolean
  /** True when the pattern matches all of `text`. */
  matches(text: string): boolean
}

/** Instructions of a compiled pattern: what one character of a line costs at most. */
const MAX_PROGRAM = 1000

/** Why `text` is no pattern in RE2 syntax (no look-around, no back references) of bounded size, or null when it is one. */
export function linePatternFault(text: string): string | null {
  try {
    const size = re2().compile(text).programSize()
    return size <= MAX_PROGRAM ? null : `it is too large: use smaller counts than it has in {}`
  } catch (error) {
    return (error as Error).message.replace(/^error parsing regexp: /, '')
  }
}

/** Throws MANIFEST_INVALID when `text` is no pattern in RE2 syntax. */
export function compileLinePattern(text: string): LinePattern {
  const fault = linePatternFault(text)
  if (fault !== null)
    fail('MANIFEST_INVALID', `"${text}" is no pattern of linear time: ${fault}`, {
      hints: ['use RE2 syntax: no look-around, no back references'],
    })
  const compiled = re2().compile(text)
  return {
    text,
    finds: line => compiled.test(line),
    matches: whole => compiled.testExact(whole),
  }
}
