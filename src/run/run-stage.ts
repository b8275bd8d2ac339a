import { mkdir, realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { OutputResult, Receipt, WorkRecord } from '../../schemas/index.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { ReproError } from '../core/errors.ts'
import { escapeControl } from '../core/text.ts'
import { INSIDE, type RunSpec } from '../runtime/types.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { createBlake3 } from '../system/blake3.ts'
import { openSeed } from '../system/seed.ts'
import { signingKeyFromSeed } from '../system/signing.ts'
import type { ChosenRuntime } from './choose-runtime.ts'
import { verdictOf } from './compare/verdict.ts'
import { compareOutput } from './compare.ts'
import { type Execution, execute } from './execute.ts'
import { copyBundle, takeOutputs } from './host-copy.ts'
import { readHostNames } from './host-facts.ts'
import type { Stage } from './open-stage.ts'
import type { Plan } from './plan.ts'
import type { PreparedRun } from './prepare-run.ts'
import { hidePlaces, type ReceiptBody, signReceipt } from './receipt.ts'
import { makeRunFolder, RECEIPT_FILE, type RunFolder } from './run-folder.ts'
import { checkStage } from './stage-check.ts'

export interface RunResult {
  readonly receipt: Receipt
  /** Folder of the run: receipt.json, stdout.log, stderr.log, and `out` unless another was named. */
  readonly folder: string
  readonly out: string
}

interface Attempt extends Execution {
  readonly chosen: ChosenRuntime
  readonly plan: Plan
  readonly argv: readonly string[]
  readonly enforces: { readonly cpus?: string; readonly memory?: string }
}

/**
 * Executes a whole stage, compares what it wrote, and signs a receipt. When a runtime fails to start, the next one is
 * tried; once the app has started there is no second attempt. An app that fails, is interrupted or runs out of time
 * gets its receipt too. Throws NO_RUNTIME, TARGET_CHANGED, DISK_FULL, WRITE_FAILED.
 */
export async function* runStage(
  stage: Stage,
  prepared: PreparedRun,
): AsyncGenerator<WorkRecord, RunResult> {
  const { options } = prepared
  const { file } = stage
  const about = { name: file.manifest.name, app: file.app, contentHash: file.contentHash }
  const run = await makeRunFolder(options.home, about, {
    now: new Date(),
    ...(options.out === undefined ? {} : { out: options.out }),
  })
  const scratch = join(run.path, 'scratch')
  try {
    const attempt = yield* attempts(stage, prepared, run, scratch)
    const outputs = yield* compareOutputs(stage, prepared, run, attempt)
    const body = await receiptBody(stage, prepared, run, attempt, outputs)
    const seed = await openSeed(options.home)
    const receipt = signReceipt(body, signingKeyFromSeed(seed.derive('receipt')))
    await writeFileAtomic(join(run.path, RECEIPT_FILE), `${JSON.stringify(receipt, null, 2)}\n`)
    return { receipt, folder: run.path, out: run.out }
  } finally {
    for (const left of [scratch, join(run.path, 'bundle')])
      await rm(left, { recursive: true, force: true })
  }
}

async function* attempts(
  stage: Stage,
  prepared: PreparedRun,
  run: RunFolder,
  scratch: string,
): AsyncGenerator<WorkRecord, Attempt> {
  const { choice, options } = prepared
  const { signal } = options
  for (let chosen: ChosenRuntime | null = prepared.chosen; chosen; ) {
    let attempt: Attempt | null = null
    let reason: string
    try {
      attempt = yield* attemptWith(chosen, stage, prepared, run, scratch)
      if (attempt.outcome !== 'runtime failed' || attempt.end.started) return attempt
      const said = attempt.end.stderrTail.trim().split('\n').at(-1) ?? ''
      reason = `failed to start${said === '' ? '' : `: ${escapeControl(said, false)}`}`
    } catch (error) {
      // An adapter that cannot take these paths or values says so before it starts anything.
      if (!(error instanceof ReproError) || error.code !== 'NO_RUNTIME') throw error
      reason = error.message
    }
    yield { action: 'probe', status: 'warn', subject: chosen.adapter.name, message: reason }
    choice.refuse(chosen.adapter, reason)
    const next = await choice.next(options.cache, signal)
    if (!next && attempt) return attempt
    await rm(scratch, { recursive: true, force: true })
    chosen = next
  }
  return choice.exhausted()
}

async function* attemptWith(
  chosen: ChosenRuntime,
  stage: Stage,
  prepared: PreparedRun,
  run: RunFolder,
  scratch: string,
): AsyncGenerator<WorkRecord, Attempt> {
  const { file } = stage
  const { options, app, params } = prepared
  const plan = prepared.planWith(chosen, {
    identity: file,
    searchPath: file.rootfs?.searchPath ?? null,
    runFolder: run.path,
  })
  for (const message of plan.warnings) yield { action: 'warning', message }
  const onHost = !chosen.adapter.abilities.image
  const copy = join(run.path, 'bundle')
  await mkdir(join(scratch, 'tmp'), { recursive: true, mode: 0o700 })
  if (onHost) await copyBundle(stage.folder, file, copy, app.out)
  const inside = onHost ? copy : INSIDE
  const { cpus, memoryBytes, timeMs } = plan.limits
  const spec: RunSpec = {
    id: run.id,
    rootfs: onHost || stage.rootfs === null ? null : await realpath(stage.rootfs),
    bundle: onHost ? copy : await realpath(join(stage.folder, 'bundle')),
    insideBundle: inside,
    out: { host: onHost ? join(copy, app.out) : run.out, inside: `${inside}/${app.out}` },
    mounts: params.data.map(({ host, inside: at }) => ({ host, inside: onHost ? host : at })),
    command: plan.command,
    env: { ...plan.env, REPRO_RUN_ID: run.id },
    network: plan.network,
    uid: process.getuid!(),
    gid: process.getgid!(),
    limits: {
      ...(cpus === undefined ? {} : { cpus }),
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
    },
    scratch,
  }
  const launch = chosen.adapter.commandLine(spec, chosen.report)
  yield {
    action: 'execute',
    status: 'start',
    subject: chosen.adapter.name,
    message: plan.command.join(' '),
    data: { run: run.id, folder: run.path, out: run.out, argv: launch.argv },
  }
  const execution = yield* execute(launch, {
    runId: run.id,
    folder: run.path,
    ...(timeMs === undefined ? {} : { timeoutMs: timeMs }),
    ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
    ...(options.signal ? { signal: options.signal } : {}),
  })
  if (onHost) await takeOutputs(copy, app.out, run.out)
  yield {
    action: 'execute',
    status: execution.outcome === 'completed' ? 'ok' : 'error',
    subject: chosen.adapter.name,
    data: { outcome: execution.outcome, exitCode: execution.end.exitCode },
  }
  return { ...execution, chosen, plan, argv: launch.argv, enforces: launch.enforces }
}

async function* compareOutputs(
  stage: Stage,
  prepared: PreparedRun,
  run: RunFolder,
  attempt: Attempt,
): AsyncGenerator<WorkRecord, OutputResult[]> {
  const { app, params } = prepared
  const expected = new Set(stage.file.expected)
  const skip =
    attempt.outcome !== 'completed'
      ? 'the app did not complete'
      : params.data.length > 0
        ? 'made from data that is not the release’s'
        : undefined
  const results: OutputResult[] = []
  for (const output of app.outputs) {
    const result = await compareOutput(output, {
      out: run.out,
      locate: hash => (expected.has(hash) ? join(stage.folder, 'expected', hash) : null),
      ...(skip === undefined ? {} : { skip }),
    })
    results.push(result)
    const good = ['equal', 'within tolerance', 'not compared'].includes(result.status)
    yield {
      action: 'compare',
      status: good ? 'ok' : 'warn',
      subject: result.path,
      message: result.message ?? result.status,
      data: { ...result },
    }
  }
  return results
}

function placesOf({ options, params }: PreparedRun, run: RunFolder) {
  return [
    [run.out, '$REPRO_OUT'],
    [options.home, '$REPRO_HOME'],
    [options.cache, '$REPRO_CACHE'],
    ...params.data.map(({ host, param }) => [host, `$REPRO_DATA/${param}`] as const),
  ] as const
}

async function receiptBody(
  stage: Stage,
  prepared: PreparedRun,
  run: RunFolder,
  attempt: Attempt,
  outputs: OutputResult[],
): Promise<ReceiptBody> {
  const { options, params, host } = prepared
  const { file } = stage
  const { plan, end, chosen } = attempt
  const places = options.withHost ? [] : placesOf(prepared, run)
  const hide = (text: string) => (options.withHost ? text : hidePlaces(text, places))
  const after = await checkStage(stage.folder, file)
  const notes = [
    params.data.length > 0 ? 'ran with data that is not the release’s' : null,
    params.data.length === 0 && params.changed
      ? 'ran with other parameters than the defaults'
      : null,
    (options.extraArgs?.length ?? 0) > 0 ? 'ran with extra arguments' : null,
    after.faults.length > 0 ? 'inputs were changed while it ran' : null,
  ].filter(note => note !== null)
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
    params: { ...params.values },
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
    host: { ...host, ...(options.withHost ? readHostNames() : {}) },
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
      unchangedAfterRun: chosen.adapter.abilities.image ? after.faults.length === 0 : null,
    },
    outputs,
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
