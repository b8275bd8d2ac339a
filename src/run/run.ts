import type { WorkRecord } from '../../schemas/index.ts'
import type { ReleaseSource } from '../core/release-source.ts'
import type { Plan } from './plan.ts'
import { prepareRun, type RunOptions } from './prepare-run.ts'
import { type RunResult, runStage } from './run-stage.ts'
import { stageRelease } from './stage.ts'

/**
 * Runs one app of a release: parameters and runtime first, then what the app needs is fetched and checked, then it is
 * executed, its outputs are compared, and a signed receipt is left in the folder of the run.
 * Throws what `prepareRun`, `stageRelease` and `runStage` throw. An app that fails is no throw: see the receipt.
 */
export async function* runRelease(
  source: ReleaseSource,
  appName: string,
  options: RunOptions,
): AsyncGenerator<WorkRecord, RunResult> {
  const prepared = yield* prepareRun(source.manifest, appName, options)
  const stage = yield* stageRelease(source, appName, {
    cache: options.cache,
    rehash: options.rehash === true,
    image: prepared.chosen.adapter.abilities.image,
    ...(options.signal ? { signal: options.signal } : {}),
  })
  return yield* runStage(stage, prepared)
}

/** What `runRelease` would do, without doing it; runtimes are probed. Throws what `prepareRun` throws. */
export async function* planRelease(
  source: ReleaseSource,
  appName: string,
  options: RunOptions,
): AsyncGenerator<WorkRecord, Plan> {
  const prepared = yield* prepareRun(source.manifest, appName, options)
  return prepared.planWith(prepared.chosen, { identity: source.identity, searchPath: null })
}
