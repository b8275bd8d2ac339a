import { join } from 'node:path'
import type { OutputResult, Receipt, ResolvedOutput, WorkRecord } from '../../schemas/index.ts'
import { compareOutput } from './compare.ts'
import type { Stage } from './open-stage.ts'
import type { PreparedRun } from './prepare-run.ts'

export interface ComparedOutputs {
  readonly outputs: readonly OutputResult[]
  /** False when the run was interrupted before all of them were compared. */
  readonly complete: boolean
}

/**
 * Compares all declared outputs of a run, one record each. Own data, and an app that did not complete, leave nothing
 * to compare. An interrupt ends it at once: what was not compared says so.
 */
export async function* compareOutputs(
  stage: Stage,
  prepared: PreparedRun,
  run: { readonly out: string; readonly outcome: Receipt['outcome'] },
): AsyncGenerator<WorkRecord, ComparedOutputs> {
  const { app, params } = prepared
  const expected = new Set(stage.file.expected)
  const skip =
    run.outcome !== 'completed'
      ? 'the app did not complete'
      : params.data.length > 0
        ? 'made from data that is not the release’s'
        : undefined
  const { signal } = prepared.options
  const results: OutputResult[] = []
  let complete = run.outcome !== 'interrupted'
  for (const output of app.outputs) {
    const seen = complete
      ? await compareOutput(output, {
          out: run.out,
          locate: hash => (expected.has(hash) ? join(stage.folder, 'expected', hash) : null),
          ...(skip === undefined ? {} : { skip }),
          ...(signal ? { signal } : {}),
        }).catch(error => {
          if (signal?.aborted !== true) throw error
          return null
        })
      : null
    complete = seen !== null
    const result = seen ?? unseen(output)
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
  return { outputs: results, complete }
}

/** Whoever interrupts a run does not want to wait until its outputs have been hashed. */
function unseen(output: ResolvedOutput): OutputResult {
  const expected = output.compare === 'exists' ? null : (output.expect?.blake3 ?? null)
  const { path, compare } = output
  const message = 'the run was interrupted'
  return { path, compare, blake3: null, size: null, expected, status: 'not compared', message }
}
