import type { WorkRecord } from '../../schemas/index.ts'
import { openStage } from './open-stage.ts'
import { prepareRun, type RunOptions } from './prepare-run.ts'
import { type RunResult, runStage } from './run-stage.ts'

/**
 * Runs a stage that lies ready, with nothing but the folder: no store, no network, no native module is loaded.
 * Throws HASH_MISMATCH for a stage that is not whole, and what `prepareRun` and `runStage` throw.
 */
export async function* executeStage(
  folder: string,
  options: RunOptions,
): AsyncGenerator<WorkRecord, RunResult> {
  const stage = await openStage(folder, {
    rehash: options.rehash === true,
    image: options.runtime !== 'host',
    ...(options.signal ? { signal: options.signal } : {}),
  })
  const prepared = yield* prepareRun(stage.file.manifest, stage.file.app, options)
  return yield* runStage(stage, prepared)
}
