import { join } from 'node:path'
import type { Receipt } from '../../schemas/index.ts'
import { formatBytes, formatDuration } from '../../src/core/text.ts'
import type { Output } from './output.ts'
import { describeOutput } from './verdict.ts'

/** Prints one receipt for people; `repro runs <id> --json` gives all of it. */
export function printReceipt(receipt: Receipt, folder: string, output: Output): void {
  const release =
    receipt.release === null
      ? 'not published'
      : `${receipt.key}@${receipt.release}${receipt.tag === null ? '' : ` (${receipt.tag})`}`
  output.line(`${receipt.name} ${receipt.app}: ${receipt.verdict}`, 'bold')
  field('run', receipt.id)
  field('release', release)
  field('content hash', receipt.contentHash)
  for (const [name, value] of Object.entries(receipt.params)) field('parameter', `${name}=${value}`)
  if (receipt.extraArgs.length > 0) field('extra', receipt.extraArgs.join(' '))
  const { name, version, fidelity } = receipt.runtime
  field('runtime', `${name}${version === null ? '' : ` ${version}`} (${fidelity})`)
  if (receipt.image !== null) field('image', receipt.image.digest)
  field('host', `${receipt.host.cpuModel}, ${receipt.host.kernel}, ${receipt.host.architecture}`)
  field('began', receipt.startedAt)
  field('took', formatDuration(receipt.durationMs))
  if (receipt.peakMemoryBytes !== null) field('peak memory', formatBytes(receipt.peakMemoryBytes))
  field('ended', describeEnd(receipt))
  for (const one of receipt.outputs) field('output', `${one.path}  ${describeOutput(one)}`)
  if (receipt.note !== undefined) field('note', receipt.note)
  field('receipt', join(folder, 'receipt.json'))

  function field(title: string, value: string): void {
    output.line(`  ${title.padEnd(13)} ${value}`)
  }
}

function describeEnd(receipt: Receipt): string {
  if (receipt.exitCode !== null) return `${receipt.outcome}, exit code ${receipt.exitCode}`
  return receipt.signal === null ? receipt.outcome : `${receipt.outcome}, ${receipt.signal}`
}
