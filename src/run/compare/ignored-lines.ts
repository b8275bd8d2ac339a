import { setImmediate } from 'node:timers/promises'
import type { LinePattern } from '../../core/line-pattern.ts'
import type { Line } from './line-reader.ts'

/** How much of a line a pattern sees: with patterns of bounded size, this bounds what one look costs. */
const PATTERN_BYTES = 4096
/** Stands for the rest of a longer line, so that `$` is not found where only our look ends. */
const REST = '\uffff'
/** What all looks of one comparison may cost together. */
const BUDGET_MS = 60_000
/** After this long others get their turn: a Ctrl-C, for one. */
const BREATH_MS = 50

/** True for lines that do not count; a promise where others were let in before the answer. */
export type Ignored = (line: Line) => boolean | Promise<boolean>

export interface IgnoreOptions {
  /** Instead of a minute. */
  readonly patternBudgetMs?: number
  readonly signal?: AbortSignal
}

/** Patterns took all the time that a comparison gives them. */
export class PatternsTooSlow extends Error {
  constructor(budgetMs: number) {
    super(`its ignore patterns took longer than ${budgetMs / 1000} s`)
  }
}

/**
 * Says of lines whether one of the patterns is found in their first 4 KiB. The answer throws PatternsTooSlow when the
 * time for all lines is over, and the reason of `signal` when that is aborted.
 */
export function ignoring(
  patterns: readonly LinePattern[],
  { signal, patternBudgetMs = BUDGET_MS }: IgnoreOptions = {},
): Ignored {
  if (patterns.length === 0) return () => false
  let spentMs = 0
  let breathedMs = 0
  const look = (text: string, from: number): boolean | Promise<boolean> => {
    for (let i = from; i < patterns.length; i++) {
      if (spentMs - breathedMs > BREATH_MS) return breathe().then(() => look(text, i))
      const began = performance.now()
      const found = patterns[i]!.finds(text)
      spentMs += performance.now() - began
      if (spentMs > patternBudgetMs) throw new PatternsTooSlow(patternBudgetMs)
      if (found) return true
    }
    return false
  }
  const breathe = async () => {
    breathedMs = spentMs
    await setImmediate()
    signal?.throwIfAborted()
  }
  return line => {
    const text = line.bytes.subarray(0, PATTERN_BYTES).toString('utf8')
    return look(line.bytes.length > PATTERN_BYTES ? text + REST : text.replace(/\r$/, ''), 0)
  }
}
