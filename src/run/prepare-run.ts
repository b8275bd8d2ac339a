import { statfs } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import type {
  Fidelity,
  Manifest,
  ResolvedApp,
  RuntimeName,
  WorkRecord,
} from '../../schemas/index.ts'
import { appOf } from '../core/app-closure.ts'
import { type HostFacts, readHostFacts } from '../system/host-facts.ts'
import { type ChosenRuntime, RuntimeChoice } from './choose-runtime.ts'
import { compilePatterns } from './compare.ts'
import { type ResolvedParams, resolveParams } from './params.ts'
import { assertHostFits, makePlan, type Plan, type PlanInput } from './plan.ts'

/** What a reader asks for. */
export interface RunOptions {
  readonly home: string
  readonly cache: string
  /** `name=value`, as typed. */
  readonly set?: readonly string[]
  /** Arguments after `--`. */
  readonly extraArgs?: readonly string[]
  readonly runtime?: 'auto' | RuntimeName
  readonly minFidelity?: Fidelity
  /** Runtime names to try first. */
  readonly runtimeOrder?: readonly string[]
  /** The app may use the network, where its manifest asks for it. */
  readonly allowNetwork?: boolean
  /** Instead of the time limit that the manifest gives. */
  readonly timeoutMs?: number
  /** Time between SIGTERM and SIGKILL when the run is ended. */
  readonly graceMs?: number
  /** Where outputs go instead of `out` in the folder of the run: an empty folder. */
  readonly out?: string
  /** Hash everything again, whatever the noted file states say. */
  readonly rehash?: boolean
  /** Put host and user name into the receipt. */
  readonly withHost?: boolean
  /** Version of repro, for the receipt. */
  readonly version: string
  readonly signal?: AbortSignal
  /** What relative paths of `set` and `out` start from; the working directory when not given. */
  readonly cwd?: string
}

/** Everything that is known and checked before anything is fetched. */
export interface PreparedRun {
  readonly options: RunOptions
  readonly manifest: Manifest
  readonly appName: string
  readonly app: ResolvedApp
  readonly params: ResolvedParams
  readonly host: HostFacts
  readonly choice: RuntimeChoice
  readonly chosen: ChosenRuntime
  /** The plan with another runtime, and with what is known later. */
  planWith(
    chosen: ChosenRuntime,
    later: Pick<PlanInput, 'identity' | 'searchPath'> & { readonly runFolder?: string },
  ): Plan
}

/**
 * Checks parameters, patterns and host, and chooses a runtime by probing. Fetches nothing of the release.
 * Throws APP_UNKNOWN, PARAM_INVALID, MANIFEST_INVALID, NO_RUNTIME.
 */
export async function* prepareRun(
  manifest: Manifest,
  appName: string,
  options: RunOptions,
): AsyncGenerator<WorkRecord, PreparedRun> {
  const app = appOf(manifest, appName)
  const cwd = options.cwd ?? process.cwd()
  const params = await resolveParams(app, options.set ?? [], cwd)
  for (const output of app.outputs) {
    await compilePatterns(output)
    // Strangers' patterns may be many: a Ctrl-C must get through between them.
    await setImmediate()
    options.signal?.throwIfAborted()
  }
  const host = await readHostFacts()
  const wish = {
    runtime: options.runtime ?? 'auto',
    order: options.runtimeOrder ?? [],
    ...(options.minFidelity === undefined ? {} : { minFidelity: options.minFidelity }),
  }
  const choice = new RuntimeChoice(app, wish)
  assertHostFits(manifest, app, host, wish.runtime === 'host')
  const chosen = (await choice.next(options.cache, options.signal)) ?? choice.exhausted()
  for (const { runtime, reason } of choice.refused)
    yield { action: 'probe', status: 'skipped', subject: runtime, message: reason }
  yield { action: 'probe', status: 'ok', subject: chosen.adapter.name }
  const freeBytes = await statfs(options.cache).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => null,
  )
  const planWith: PreparedRun['planWith'] = (runtime, later) =>
    makePlan({
      manifest,
      appName,
      app,
      params,
      extraArgs: options.extraArgs ?? [],
      chosen: runtime,
      refused: choice.refused,
      notes: choice.notesOn(runtime),
      host,
      allowNetwork: options.allowNetwork === true,
      freeBytes,
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      ...later,
      searchPath: runtime.adapter.abilities.image
        ? later.searchPath
        : (process.env['PATH'] ?? later.searchPath),
    })
  return { options, manifest, appName, app, params, host, choice, chosen, planWith }
}
