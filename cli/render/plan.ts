import { formatBytes, formatDuration } from '../../src/core/text.ts'
import type { PlannedRun } from '../../src/daemon/operations/run.ts'
import type { Output } from './output.ts'

/** Prints what `repro run` would do: the runtimes with the reason for each, and everything the app would get. */
export function printPlan(plan: PlannedRun, output: Output): void {
  const { name, version, fidelity } = plan.runtime
  output.line('runtimes', 'bold')
  for (const { runtime, reason } of plan.refused)
    output.line(`  ${runtime.padEnd(14)} no: ${reason}`)
  output.line(
    `  ${name.padEnd(14)} chosen: ${fidelity}${version === null ? '' : `, ${version}`}`,
    'green',
  )
  for (const other of plan.alternatives)
    output.line(
      `  ${other.name.padEnd(14)} works too: ${other.fidelity}, by --runtime ${other.name}`,
    )
  output.line()
  output.line(`app ${plan.app}`, 'bold')
  field('command', plan.command.map(quote).join(' '))
  field('image', plan.image === null ? 'none' : `${plan.image.name} ${plan.image.digest}`)
  for (const [param, value] of Object.entries(plan.params)) field('parameter', `${param}=${value}`)
  for (const mount of plan.mounts)
    field(mount.writable ? 'writable' : 'read-only', `${mount.inside}: ${mount.what}`)
  for (const [variable, value] of Object.entries(plan.env)) field('env', `${variable}=${value}`)
  field('network', plan.network)
  const { timeMs, cpus, memoryBytes, diskBytes } = plan.limits
  if (timeMs !== undefined) field('time', `at most ${formatDuration(timeMs)}`)
  if (cpus !== undefined) field('processors', String(cpus))
  if (memoryBytes !== undefined) field('memory', formatBytes(memoryBytes))
  if (diskBytes !== undefined) field('disk', formatBytes(diskBytes))
  for (const note of plan.notes) output.line(`  note: ${note}`)
  for (const warning of plan.warnings) output.say(`warning: ${warning}`, 'yellow')

  function field(title: string, value: string): void {
    output.line(`  ${title.padEnd(13)} ${value}`)
  }
}

/** One argument as a shell would need it. */
function quote(word: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
