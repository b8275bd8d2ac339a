import type { Check, HostReport, RuntimeReport } from '../../schemas/index.ts'
import { ExitCode } from '../../src/core/exit-codes.ts'
import { formatBytes } from '../../src/core/text.ts'
import { doctor as examine } from '../../src/daemon/operations/doctor.ts'
import { defineCommand } from '../command.ts'
import type { Output, Style } from '../render/output.ts'
import { resultRecord } from '../render/result.ts'

interface Flags {
  readonly fresh?: boolean
}

const STYLES: Record<Check['status'], Style | undefined> = {
  ok: 'green',
  warn: 'yellow',
  bad: 'red',
  info: undefined,
}

export const doctor = defineCommand<Flags>({
  onlyShows: true,
  exitCodes: [0, 1, 2, 6],
  examples: ['repro doctor', 'repro doctor --json'],
  configure(command) {
    command
      .option('--fresh', 'try every runtime again, whatever is known')
      .addHelpText(
        'after',
        '\nEach runtime is tried by really starting it. Ends with 6 when no runtime can run an image here.',
      )
  },
  async run({ flags }, context) {
    const report = await context.follow(
      examine(await context.settings(), {
        signal: context.signal,
        ...(flags.fresh ? { fresh: true } : {}),
      }),
      { resultSaysAll: true },
    )
    printReport(report, context.output)
    context.output.record(resultRecord({ ...report }))
    const any = report.runtimes.some(one => one.works && one.fidelity !== 'host')
    return any ? ExitCode.ok : ExitCode.noRuntime
  },
})

function printReport(report: HostReport, output: Output): void {
  output.line('this host', 'bold')
  output.line(`  ${'kernel'.padEnd(18)} ${report.kernel}, ${report.architecture}`)
  const level = report.cpuLevel === null ? '' : ` (${report.cpuLevel})`
  output.line(`  ${'processors'.padEnd(18)} ${report.cpus} × ${report.cpuModel}${level}`)
  output.line(`  ${'memory'.padEnd(18)} ${formatBytes(report.memoryBytes)}`)
  for (const check of report.checks) {
    output.line(`  ${check.name.padEnd(18)} ${check.value}`, STYLES[check.status])
    if (check.detail !== undefined) output.line(`  ${''.padEnd(18)} ${check.detail}`)
    for (const remedy of check.remedies) output.line(`  ${''.padEnd(18)} type: ${remedy}`)
  }
  output.line()
  output.line('runtimes', 'bold')
  for (const runtime of report.runtimes) printRuntime(runtime, output)
}

/** One runtime with why it can or cannot run here, and what to type to have it. */
export function printRuntime(one: RuntimeReport, output: Output): void {
  const version = one.version === null ? '' : ` ${one.version}`
  if (one.works) {
    const start = one.startMs === null ? '' : `, starts in ${Math.round(one.startMs)} ms`
    output.line(
      `  ${one.name.padEnd(14)} works: ${one.fidelity}${start}${version && `,${version}`}`,
      'green',
    )
    return
  }
  output.line(`  ${one.name.padEnd(14)} no: ${one.reason ?? 'it did not start'}`)
  for (const remedy of one.remedies) output.line(`  ${''.padEnd(14)} type: ${remedy}`)
}
