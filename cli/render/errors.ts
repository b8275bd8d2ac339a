import type { ReproError } from '../../src/core/errors.ts'
import type { Output } from './output.ts'

/** Says what went wrong and what to type next; with `--json` as the last record on stdout. */
export function renderError(error: ReproError, output: Output): void {
  if (output.mode.json) {
    output.record({ action: 'error', status: 'error', ...error.toJSON() })
    return
  }
  const [first = '', ...rest] = error.message.split('\n')
  output.alarm(`repro: ${first}`, 'red')
  for (const line of rest) output.alarm(`  ${line}`)
  for (const hint of error.hints) output.alarm(`  hint: ${hint}`)
}
