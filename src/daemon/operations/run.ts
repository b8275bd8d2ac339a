import type { WorkRecord } from '../../../schemas/index.ts'
import { chooseApp } from '../../core/choose-app.ts'
import { fail, ReproError } from '../../core/errors.ts'
import { parseReference, type Reference } from '../../core/reference.ts'
import type { Settings } from '../../core/settings.ts'
import type { Plan } from '../../run/plan.ts'
import {
  type PreparedRun,
  prepareRun,
  type RunOptions as RoomOptions,
} from '../../run/prepare-run.ts'
import { recordExpectations } from '../../run/record.ts'
import { type RunResult, runStage } from '../../run/run-stage.ts'
import { stageRelease } from '../../run/stage.ts'
import { findReadyStage } from '../ready-stage.ts'
import { checkTyped } from './check-typed.ts'
import { withSource } from './open-source.ts'

export type Allowed = 'network' | 'host' | 'gpu'

export interface RunOptions extends Omit<RoomOptions, 'home' | 'cache' | 'allowNetwork'> {
  /** The app; `default` or the only one when absent. */
  readonly app?: string
  /** What the app may have beyond its image: the network, the bare host where no image can run, a GPU. */
  readonly allow?: readonly Allowed[]
  /** Asks no peer. */
  readonly offline?: boolean
  /** Captures `host:` images of a folder again. */
  readonly recapture?: boolean
  /** Keeps the outputs as the expected ones of the folder. */
  readonly record?: boolean
}

export interface Ran extends RunResult {
  /** The outputs that are the expected ones from now on; null without `record`. */
  readonly recorded: readonly string[] | null
}

/**
 * Runs an app of a folder, a key or a name. The store is closed before the app executes, so that another command
 * can use it meanwhile. Throws what opening, preparing, staging and running throw; an app that fails is no throw.
 */
export async function* run(
  settings: Settings,
  ref: string,
  options: RunOptions,
): AsyncGenerator<WorkRecord, Ran> {
  const reference = parseReference(ref)
  if (options.record && reference.kind !== 'folder')
    fail('USAGE', `--record keeps outputs in the folder of their author, and "${ref}" is none`, {
      hints: ['repro run . --record'],
    })
  if (reference.kind === 'folder') await checkTyped(reference.path, options)
  const { prepared, stage } = yield* stageOf(settings, reference, options)
  const result = yield* runStage(stage, prepared)
  if (!options.record || reference.kind !== 'folder') return { ...result, recorded: null }
  const recorded = yield* recordExpectations(reference.path, prepared.manifest, result)
  return { ...result, recorded: Object.keys(recorded.outputs) }
}

export interface PlannedRun extends Plan {
  /** Other runtimes that work here, in the order in which they would be tried. */
  readonly alternatives: readonly Plan['runtime'][]
}

/** What `run` would do, without fetching the inputs or executing anything. Every runtime is probed. */
export async function* planRun(
  settings: Settings,
  ref: string,
  options: RunOptions,
): AsyncGenerator<WorkRecord, PlannedRun> {
  const reference = parseReference(ref)
  if (reference.kind === 'folder') await checkTyped(reference.path, options)
  return yield* withSource(settings, reference, sourceOptions(options), async function* (source) {
    const { manifest, identity } = source
    const app = chooseApp(manifest, options.app ?? appIn(reference))
    const prepared = yield* prepare(manifest, app, settings, options)
    const alternatives: PlannedRun['alternatives'][number][] = []
    for (;;) {
      const other = await prepared.choice.next(settings.cache, options.signal)
      if (!other) break
      const { name, version, fidelity } = other.report
      alternatives.push({ name, version, fidelity })
    }
    const plan = prepared.planWith(prepared.chosen, { identity, searchPath: null })
    return { ...plan, alternatives }
  })
}

async function* stageOf(settings: Settings, reference: Reference, options: RunOptions) {
  const how = {
    rehash: options.rehash === true,
    ...(options.signal ? { signal: options.signal } : {}),
  }
  const ready = yield* readyStage(settings, reference, options)
  if (ready) return ready
  return yield* withSource(settings, reference, sourceOptions(options), async function* (source) {
    const app = chooseApp(source.manifest, options.app ?? appIn(reference))
    const prepared = yield* prepare(source.manifest, app, settings, options)
    const { image } = prepared.chosen.adapter.abilities
    const stage = yield* stageRelease(source, app, { cache: settings.cache, image, ...how })
    return { prepared, stage }
  })
}

/** What an earlier run left ready; null when the store has to be opened. */
async function* readyStage(settings: Settings, reference: Reference, options: RunOptions) {
  if (reference.kind !== 'key') return null
  const { app, rehash, runtime, signal } = options
  const stage = await findReadyStage(settings, reference, {
    image: runtime !== 'host',
    ...(app === undefined ? {} : { app }),
    ...(rehash ? { rehash } : {}),
    ...(signal ? { signal } : {}),
  })
  if (!stage) return null
  const prepared = yield* prepare(stage.file.manifest, stage.file.app, settings, options)
  return { prepared, stage }
}

async function* prepare(
  manifest: PreparedRun['manifest'],
  app: string,
  settings: Settings,
  options: RunOptions,
): AsyncGenerator<WorkRecord, PreparedRun> {
  const allow = options.allow ?? []
  if (allow.includes('gpu'))
    yield { action: 'warning', message: 'no runtime here hands on a GPU: --allow gpu does nothing' }
  const wish: RoomOptions = {
    runtimeOrder: settings.runtimeOrder,
    ...options,
    home: settings.home,
    cache: settings.cache,
    allowNetwork: allow.includes('network'),
  }
  try {
    return yield* prepareRun(manifest, app, wish)
  } catch (error) {
    const none = error instanceof ReproError && error.code === 'NO_RUNTIME'
    const auto = options.runtime === undefined || options.runtime === 'auto'
    if (!none || !auto || !allow.includes('host') || options.minFidelity) throw error
    yield {
      action: 'warning',
      message: 'no runtime can run the image here: running on the bare host',
    }
    return yield* prepareRun(manifest, app, { ...wish, runtime: 'host' })
  }
}

function sourceOptions({ offline, recapture, rehash, signal }: RunOptions) {
  return {
    network: offline ? ('never' as const) : ('missing' as const),
    ...(recapture ? { recapture } : {}),
    ...(rehash ? { rehash } : {}),
    ...(signal ? { signal } : {}),
  }
}

function appIn(reference: Reference): string | undefined {
  return reference.kind === 'key' || reference.kind === 'name' ? reference.app : undefined
}
