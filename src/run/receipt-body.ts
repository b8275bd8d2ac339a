import { realpath } from 'node:fs/promises'
import type { OutputResult } from '../../schemas/index.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { createBlake3 } from '../system/blake3.ts'
import { readHostNames } from '../system/host-facts.ts'
import type { ChosenRuntime } from './choose-runtime.ts'
import { expectationNote, verdictOf } from './compare/verdict.ts'
import type { Execution } from './execute.ts'
import type { Stage } from './open-stage.ts'
import type { Plan } from './plan.ts'
import type { PreparedRun } from './prepare-run.ts'
import { hidePlaces, type ReceiptBody } from './receipt.ts'
import type { RunFolder } from './run-folder.ts'

/** One execution with one runtime. */
export interface Attempt extends Execution {
  readonly chosen: ChosenRuntime
  readonly plan: Plan
  readonly argv: readonly string[]
  readonly enforces: { readonly cpus?: string; readonly memory?: string }
}

/** Replaces every path of this host that could tell who ran it. */
async function makeHide(
  { options, params }: PreparedRun,
  run: RunFolder,
): Promise<(text: string) => string> {
  if (options.withHost) return text => text
  const real = (path: string) => realpath(path).catch(() => path)
  const places = [
    [run.out, '$REPRO_OUT'],
    [options.home, '$REPRO_HOME'],
    [await real(options.home), '$REPRO_HOME'],
    [options.cache, '$REPRO_CACHE'],
    [await real(options.cache), '$REPRO_CACHE'],
    ...params.data.map(({ host, param }) => [host, `$REPRO_DATA/${param}`] as const),
  ] as const
  return text => hidePlaces(text, places)
}

function hideInOutput(output: OutputResult, hide: (text: string) => string): OutputResult {
  const { message, at, ...rest } = output
  return {
    ...rest,
    ...(message === undefined ? {} : { message: hide(message) }),
    ...(at === undefined
      ? {}
      : {
          at: {
            ...at,
            ...(at.expected === undefined ? {} : { expected: hide(at.expected) }),
            ...(at.found === undefined ? {} : { found: hide(at.found) }),
          },
        }),
  }
}

/** In what a run was not the one its author declared: such a run sets no expectations. */
export function departuresOf({ options, params }: PreparedRun, unchanged: boolean): string[] {
  return [
    params.data.length > 0 ? 'ran with data that is not the release’s' : null,
    params.data.length === 0 && params.changed
      ? 'ran with other parameters than the defaults'
      : null,
    (options.extraArgs?.length ?? 0) > 0 ? 'ran with extra arguments' : null,
    !unchanged ? 'inputs were changed while it ran' : null,
  ].filter(note => note !== null)
}

/** What was found after an execution. */
interface Findings {
  readonly outputs: readonly OutputResult[]
  /** The inputs are as they were. */
  readonly unchanged: boolean
  readonly departures: readonly string[]
  /** What was changed of the outputs, for safety. */
  readonly cleared: readonly string[]
}

/** Everything a receipt says, before it is signed. */
export async function receiptBody(
  stage: Stage,
  prepared: PreparedRun,
  run: RunFolder,
  attempt: Attempt,
  { outputs, unchanged, departures, cleared }: Findings,
): Promise<ReceiptBody> {
  const { options, params, host } = prepared
  const { architecture, kernel, cpuModel, cpus: processors, memoryBytes } = host
  const { file } = stage
  const { plan, end, chosen } = attempt
  const hide = await makeHide(prepared, run)
  const compared = attempt.outcome === 'completed' && params.data.length === 0
  const lacking = compared ? expectationNote(outputs) : null
  const online = prepared.app.network === 'none' && plan.network === 'host'
  const notes = [
    ...departures,
    ...cleared,
    ...(lacking === null ? [] : [lacking]),
    ...(online ? ['it could use the network, which its author did not ask for'] : []),
  ]
  const { time, memory, cpus, disk } = limitsOf(attempt)
  return {
    format: 0,
    id: run.id,
    key: file.key,
    release: file.release,
    tag: file.tag,
    contentHash: file.contentHash,
    name: file.manifest.name,
    app: file.app,
    params: Object.fromEntries(
      Object.entries(params.values).map(([name, value]) => [
        name,
        typeof value === 'string' ? hide(value) : value,
      ]),
    ),
    extraArgs: (options.extraArgs ?? []).map(hide),
    command: plan.command.map(hide),
    image: plan.image && { ...plan.image },
    runtime: { ...plan.runtime },
    refused: prepared.choice.refused.map(({ runtime, reason }) => ({
      runtime,
      reason: hide(reason),
    })),
    argv: attempt.argv.map(hide),
    network: plan.network,
    limits: {
      ...(time ? { time } : {}),
      ...(memory ? { memory } : {}),
      ...(cpus ? { cpus } : {}),
      ...(disk ? { disk } : {}),
    },
    host: {
      architecture,
      kernel,
      cpuModel,
      cpus: processors,
      memoryBytes,
      ...(options.withHost ? readHostNames() : {}),
    },
    software: { repro: options.version, node: process.versions.node },
    startedAt: attempt.startedAt.toISOString(),
    finishedAt: attempt.finishedAt.toISOString(),
    durationMs: Math.round(end.durationMs),
    peakMemoryBytes: end.peakMemoryBytes,
    exitCode: end.exitCode,
    signal: end.signal,
    outcome: attempt.outcome,
    inputs: {
      ...inputsOf(stage),
      checked: stage.checked,
      unchangedAfterRun: chosen.adapter.abilities.image ? unchanged : null,
    },
    outputs: outputs.map(output => hideInOutput(output, hide)),
    verdict: verdictOf(attempt.outcome, outputs, params.data.length > 0),
    ...(notes.length > 0 ? { note: notes.join('; ') } : {}),
  }
}

function limitsOf({ plan, enforces }: Attempt) {
  const { timeMs, memoryBytes, cpus, diskBytes } = plan.limits
  const limit = (requested: number | undefined, by: string | undefined) =>
    requested === undefined
      ? undefined
      : { requested, enforced: by !== undefined, ...(by === undefined ? {} : { by }) }
  return {
    time: limit(timeMs, 'repro'),
    memory: limit(memoryBytes, enforces.memory),
    cpus: limit(cpus, enforces.cpus),
    disk: limit(diskBytes, undefined),
  }
}

/** Totals of the inputs, and one hash over their index lines. */
function inputsOf({ file }: Stage): { files: number; bytes: number; blake3: string } {
  const hasher = createBlake3()
  let files = 0
  let bytes = 0
  for (const entry of file.entries) {
    hasher.update(Buffer.from(`${canonicalJson(entry)}\n`))
    if (entry.type !== 'file') continue
    files++
    bytes += entry.size
  }
  return { files, bytes, blake3: hasher.hex() }
}
