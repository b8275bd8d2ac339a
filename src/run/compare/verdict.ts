import type { OutputResult, Receipt, Verdict } from '../../../schemas/index.ts'

/**
 * The verdict of a run: failed > differs > within tolerance > reproduced > nothing declared.
 * With the reader's own data in it, a run that completed says nothing about the release.
 */
export function verdictOf(
  outcome: Receipt['outcome'],
  outputs: readonly Pick<OutputResult, 'status'>[],
  ownData: boolean,
): Verdict {
  if (outcome !== 'completed') return 'failed'
  if (ownData) return 'nothing declared'
  const has = (...statuses: OutputResult['status'][]) =>
    outputs.some(output => statuses.includes(output.status))
  if (has('differs', 'missing', 'unexpected type')) return 'differs'
  if (has('within tolerance')) return 'within tolerance'
  return has('equal') ? 'reproduced' : 'nothing declared'
}
