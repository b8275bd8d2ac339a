import { join } from 'node:path'
import type { OutputResult, Receipt } from '../../schemas/index.ts'
import { ExitCode } from '../../src/core/exit-codes.ts'
import { count, formatBytes, formatDuration } from '../../src/core/text.ts'
import type { Output, Style } from './output.ts'

const STYLES: Record<Receipt['verdict'], Style> = {
  reproduced: 'green',
  'within tolerance': 'green',
  differs: 'red',
  failed: 'red',
  'nothing declared': 'yellow',
}

/** Where a run left things, and how it was asked for: what its last lines point to. */
export interface RunPlace {
  /** The reference as it was typed, with the app. */
  readonly typed: string
  /** Folder of the run, with receipt.json, stdout.log and stderr.log. */
  readonly folder: string
  /** Where the outputs are. */
  readonly out: string
  /** The outputs that are the expected ones from now on; null when none were to be kept. */
  readonly recorded: readonly string[] | null
}

/** The last lines of `repro run`: the verdict, what differs and where, the receipt, and what to try next. */
export function printVerdict(receipt: Receipt, place: RunPlace, output: Output): void {
  output.line(`verdict: ${receipt.verdict}`, STYLES[receipt.verdict])
  if (receipt.note !== undefined) output.line(`  ${receipt.note}`)
  if (receipt.outcome !== 'completed') output.line(`  ${describeOutcome(receipt)}`)
  const compared = receipt.outcome === 'completed' ? receipt.outputs : []
  const width = Math.min(40, Math.max(0, ...compared.map(one => one.path.length)))
  for (const one of compared) output.line(`  ${one.path.padEnd(width)}  ${describeOutput(one)}`)
  output.line(describeHow(receipt))
  output.line(`receipt ${join(place.folder, 'receipt.json')}`)
  if (place.recorded?.length) output.line(`recorded as expected: ${place.recorded.join(', ')}`)
  else if (place.recorded) output.line(`nothing was recorded: ${whyNothing(receipt)}`, 'yellow')
  for (const hint of nextSteps(receipt, place)) output.say(`next: ${hint}`)
}

/** 0, 7 or 8; 130 when it was interrupted, 6 when the runtime broke. */
export function exitCodeOf(receipt: Receipt): ExitCode {
  if (receipt.outcome === 'interrupted') return ExitCode.interrupted
  if (receipt.outcome === 'runtime failed') return ExitCode.noRuntime
  if (receipt.verdict === 'failed') return ExitCode.appFailed
  return receipt.verdict === 'differs' ? ExitCode.differs : ExitCode.ok
}

/** The comparison's own sentence; where it has none, `differs: line 3: expected "4", found "5" (2 differences)`. */
export function describeOutput(one: OutputResult): string {
  const size = one.size === null ? '' : ` (${formatBytes(one.size)})`
  if (one.status === 'equal' || one.status === 'not compared') return `${one.status}${size}`
  const text = one.message ?? `${placeOf(one)}${figuresOf(one)}`.trim()
  return `${one.status}${text === '' ? '' : `: ${text}`}`
}

function figuresOf(one: OutputResult): string {
  const details = [
    one.differences === undefined ? null : count('difference', one.differences),
    one.maxRelative === undefined ? null : `largest relative ${one.maxRelative.toPrecision(3)}`,
    one.maxAbsolute === undefined ? null : `largest absolute ${one.maxAbsolute.toPrecision(3)}`,
  ].filter(part => part !== null)
  return details.length > 0 ? ` (${details.join(', ')})` : ''
}

function placeOf({ at }: OutputResult): string {
  if (!at) return ''
  const where = [
    at.line === undefined ? null : `line ${at.line}`,
    at.column === undefined ? null : `column ${at.column}`,
    at.byte === undefined ? null : `byte ${at.byte}`,
  ].filter(part => part !== null)
  const what = [
    at.expected === undefined ? null : `expected "${at.expected}"`,
    at.found === undefined ? null : `found "${at.found}"`,
  ].filter(part => part !== null)
  return [where.join(', '), what.join(', ')].filter(part => part !== '').join(': ')
}

function describeOutcome(receipt: Receipt): string {
  switch (receipt.outcome) {
    case 'exit code':
      return `the app ended with exit code ${receipt.exitCode}`
    case 'signal':
      return `the app was ended by ${receipt.signal ?? 'a signal'}`
    case 'timeout':
      return `the app was stopped: it ran longer than ${formatDuration(receipt.limits.time?.requested ?? receipt.durationMs)}`
    case 'interrupted':
      return 'the run was interrupted'
    case 'runtime failed':
      return `the runtime ${receipt.runtime.name} failed before or while the app ran`
    case 'completed':
      return 'the app ended well'
  }
}

function describeHow(receipt: Receipt): string {
  const { name, version, fidelity } = receipt.runtime
  const memory =
    receipt.peakMemoryBytes === null ? '' : `, peak memory ${formatBytes(receipt.peakMemoryBytes)}`
  const image = receipt.image === null ? '' : `, image ${receipt.image.digest.slice(0, 19)}`
  return `ran ${receipt.app} with ${name}${version === null ? '' : ` ${version}`} (${fidelity})${image} in ${formatDuration(receipt.durationMs)}${memory}`
}

function whyNothing({ app, outputs }: Receipt): string {
  return outputs.length === 0
    ? `the app "${app}" declares no outputs`
    : `no output of the app "${app}" is compared with a file that was recorded`
}

function nextSteps(receipt: Receipt, place: RunPlace): string[] {
  if (place.recorded?.length)
    return [`repro run ${place.typed}   # now says whether it reproduces`, 'repro publish']
  if (place.recorded && receipt.outputs.length === 0)
    return ['declare in repro.yaml what it writes: outputs: [{path: result.tsv, compare: exact}]']
  const show = `repro runs ${receipt.id}`
  switch (receipt.verdict) {
    case 'reproduced':
    case 'within tolerance': {
      const [param] = Object.keys(receipt.params)
      return [
        `look at the outputs in ${place.out}`,
        ...(param === undefined ? [] : [`repro run ${place.typed} --set ${param}=…`]),
      ]
    }
    case 'differs':
      return [
        `look at the outputs in ${place.out}`,
        `repro run ${place.typed} --plan   # other runtimes to try with --runtime`,
        show,
      ]
    case 'failed':
      return [`read ${join(place.folder, 'stderr.log')}`, show]
    case 'nothing declared':
      return [
        `look at the outputs in ${place.out}`,
        ...(receipt.key === null && receipt.outputs.length > 0 && place.recorded === null
          ? [`repro run ${place.typed} --record   # keep these outputs as the expected ones`]
          : []),
      ]
  }
}
