import { mkdir, realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Receipt, WorkRecord } from '../../schemas/index.ts'
import { ReproError } from '../core/errors.ts'
import { INSIDE } from '../core/mount-points.ts'
import { escapeControl } from '../core/text.ts'
import type { RunSpec } from '../runtime/types.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { openSeed } from '../system/seed.ts'
import { signingKeyFromSeed } from '../system/signing.ts'
import type { ChosenRuntime } from './choose-runtime.ts'
import { compareOutputs } from './compare-outputs.ts'
import { execute } from './execute.ts'
import { copyBundle, takeOutputs } from './host-copy.ts'
import type { Stage } from './open-stage.ts'
import { openOutPlace } from './out-place.ts'
import type { PreparedRun } from './prepare-run.ts'
import { signReceipt } from './receipt.ts'
import { type Attempt, departuresOf, receiptBody } from './receipt-body.ts'
import { makeRunFolder, RECEIPT_FILE, type RunFolder } from './run-folder.ts'
import { isUnchanged } from './stage-check.ts'

const CLEARED = 'outputs that were set-uid or set-gid, and are no more'

/** A run's folder, and where its app writes. */
interface RunPlaces extends RunFolder {
  readonly writes: string
}

export interface RunResult {
  readonly receipt: Receipt
  /** Folder of the run: receipt.json, stdout.log, stderr.log, and `out` unless another was named. */
  readonly folder: string
  readonly out: string
  /** In what it was not the run that the author declared: own data, other parameters, extra arguments, changed inputs. */
  readonly departures: readonly string[]
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
  const place = await openOutPlace(run)
  let closing: Promise<readonly string[]> | null = null
  try {
    const ended = yield* attempts(stage, prepared, { ...run, writes: place.host }, scratch)
    closing = place.close()
    const unsafe = await closing
    for (const path of unsafe) yield { action: 'warning', subject: path, message: CLEARED }
    const { outputs, complete } = yield* compareOutputs(stage, prepared, {
      out: run.out,
      outcome: ended.outcome,
    })
    const attempt = complete ? ended : { ...ended, outcome: 'interrupted' as const }
    const unchanged = await isUnchanged(stage.folder, file)
    const departures = departuresOf(prepared, unchanged)
    const cleared = unsafe.length === 0 ? [] : [`${CLEARED}: ${unsafe.length}`]
    const found = { outputs, unchanged, departures, cleared }
    const body = await receiptBody(stage, prepared, run, attempt, found)
    const seed = await openSeed(options.home)
    const receipt = signReceipt(body, signingKeyFromSeed(seed.derive('receipt')))
    await writeFileAtomic(join(run.path, RECEIPT_FILE), `${JSON.stringify(receipt, null, 2)}\n`)
    return { receipt, folder: run.path, out: run.out, departures }
  } finally {
    await (closing ?? place.close())
    for (const left of [scratch, join(run.path, 'bundle')])
      await rm(left, { recursive: true, force: true })
  }
}

async function* attempts(
  stage: Stage,
  prepared: PreparedRun,
  run: RunPlaces,
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
      reason = `failed to start${said === '' ? '' : `: ${escapeControl(said)}`}`
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
  run: RunPlaces,
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
    out: { host: onHost ? join(copy, app.out) : run.writes, inside: `${inside}/${app.out}` },
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
  if (onHost) await takeOutputs(copy, app.out, run.writes)
  yield {
    action: 'execute',
    status: execution.outcome === 'completed' ? 'ok' : 'error',
    subject: chosen.adapter.name,
    data: { outcome: execution.outcome, exitCode: execution.end.exitCode },
  }
  return { ...execution, chosen, plan, argv: launch.argv, enforces: launch.enforces }
}
