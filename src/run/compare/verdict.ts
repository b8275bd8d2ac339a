import type { OutputResult, Receipt, Verdict } from '../../../schemas/index.ts'
import { count } from '../../core/text.ts'

type Compared = Pick<OutputResult, 'path' | 'compare' | 'status' | 'blake3' | 'expected'>

const SHOWN = 5

/**
 * The verdict of a run: failed > differs > nothing declared > within tolerance > reproduced. With the reader's own data
 * in it, a run that completed says nothing about the release; and while one output has nothing to be compared with,
 * nobody can say that the release reproduced.
 */
export function verdictOf(
  outcome: Receipt['outcome'],
  outputs: readonly Compared[],
  ownData: boolean,
): Verdict {
  if (outcome !== 'completed') return 'failed'
  if (ownData) return 'nothing declared'
  const has = (...statuses: OutputResult['status'][]) =>
    outputs.some(output => statuses.includes(output.status))
  if (has('differs', 'missing', 'unexpected type')) return 'differs'
  if (outputs.some(lacksExpectation)) return 'nothing declared'
  if (has('within tolerance')) return 'within tolerance'
  return has('equal') ? 'reproduced' : 'nothing declared'
}

/** Which outputs were written and have no expectation, and what to type; null when each has one. */
export function expectationNote(outputs: readonly Compared[]): string | null {
  const paths = outputs.filter(lacksExpectation).map(({ path }) => `"${path}"`)
  if (paths.length === 0) return null
  const more = paths.length > SHOWN ? ` and ${count('more output', paths.length - SHOWN)}` : ''
  return `no expectation is recorded for ${paths.slice(0, SHOWN).join(', ')}${more}: the author records one with repro run . --record`
}

/** An optional output that was not written lacks nothing. */
function lacksExpectation({ compare, expected, blake3 }: Compared): boolean {
  return compare !== 'exists' && expected === null && blake3 !== null
}
