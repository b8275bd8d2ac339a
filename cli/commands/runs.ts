import { ExitCode } from '../../src/core/exit-codes.ts'
import { formatDuration } from '../../src/core/text.ts'
import { findRun, listRuns, type RunSummary } from '../../src/run/runs.ts'
import { defineCommand } from '../command.ts'
import { printReceipt } from '../render/receipt.ts'
import { resultRecord } from '../render/result.ts'

export const runs = defineCommand({
  onlyShows: true,
  exitCodes: [0, 2, 4],
  examples: ['repro runs', 'repro runs 20261121T093012345Z-1f0c2a --json'],
  configure(command) {
    command.argument('[id]', 'a run, or the beginning of its id')
  },
  async run({ args }, { output, settings }) {
    const { home } = await settings()
    const [id] = args
    if (id !== undefined) {
      const one = await findRun(home, id)
      if (one.receipt) printReceipt(one.receipt, one.folder, output)
      else output.line(describe(one))
      output.record(resultRecord({ ...one }))
      return ExitCode.ok
    }
    const all = await listRuns(home)
    for (const one of all) {
      output.line(describe(one))
      output.record({ action: 'entry', subject: one.id, data: { ...one } })
    }
    if (all.length === 0) output.say('no runs yet: repro run <ref>')
    output.record(resultRecord({ runs: all.length }))
    return ExitCode.ok
  },
})

function describe({ id, state, receipt, begun, fault }: RunSummary): string {
  const what = receipt ?? begun
  const name = what === null ? '' : `${what.name} ${what.app}`
  if (receipt === null)
    return `${id}  ${state.padEnd(16)}  ${name}${fault === null ? '' : `  (${fault})`}`
  const { runtime, durationMs } = receipt
  return `${id}  ${receipt.verdict.padEnd(16)}  ${name}  ${runtime.name}, ${formatDuration(durationMs)}`
}
