import type { OutputResult } from '../../../schemas/index.ts'
import { escapeControl } from '../../core/text.ts'

/** What a comparison of two files found: the part of an OutputResult that it decides. */
export type Difference = Pick<OutputResult, 'status'> &
  Partial<Pick<OutputResult, 'message' | 'at' | 'differences' | 'maxAbsolute' | 'maxRelative'>>

export const EQUAL: Difference = { status: 'equal' }

const EXCERPT_CHARACTERS = 80
/** As people write them. */
const SPACES: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r' }

/** A short piece of a stranger's text around `at`, safe to print. */
export function excerpt(text: string, at = 0): string {
  const start = Math.max(0, Math.min(at - EXCERPT_CHARACTERS / 4, text.length - EXCERPT_CHARACTERS))
  const end = start + EXCERPT_CHARACTERS
  const middle = text.slice(start, end).toWellFormed()
  const cut = `${start > 0 ? '…' : ''}${middle}${end < text.length ? '…' : ''}`
  return escapeControl(cut.replace(/[\t\n\r]/g, space => SPACES[space]!))
}

/** Index of the first byte in which two buffers differ, or -1 when they are equal over the shorter one's length. */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i
  return -1
}
