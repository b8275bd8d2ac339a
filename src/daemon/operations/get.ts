import type { WorkRecord } from '../../../schemas/index.ts'
import { type CheckoutResult, checkoutRelease } from '../../archive/checkout.ts'
import { appClosure } from '../../core/app-closure.ts'
import { fail } from '../../core/errors.ts'
import { compilePatterns } from '../../core/glob.ts'
import { parseReference } from '../../core/reference.ts'
import type { ReleaseIdentity, ReleaseSource } from '../../core/release-source.ts'
import type { Settings } from '../../core/settings.ts'
import { withSource } from './open-source.ts'

export interface GetOptions {
  /** Patterns of the paths wanted; all when absent. */
  readonly only?: readonly string[]
  /** What this app needs is wanted. */
  readonly app?: string
  /** Replaces what the user changed in the folder. */
  readonly force?: boolean
  /** Asks no peer. */
  readonly offline?: boolean
  readonly signal?: AbortSignal
}

export interface Gotten extends CheckoutResult {
  readonly identity: ReleaseIdentity
  readonly apps: readonly string[]
}

/**
 * Fetches a release, or the part of it that is wanted, checks it and writes it to a folder (default: one named as the
 * bundle, in the working folder). Throws what opening and `checkoutRelease` throw, NOT_FOUND when `only` matches nothing.
 */
export async function* get(
  settings: Settings,
  ref: string,
  folder: string | null,
  options: GetOptions = {},
): AsyncGenerator<WorkRecord, Gotten> {
  const reference = parseReference(ref)
  if (reference.kind === 'folder')
    fail('USAGE', `"${reference.path}" is a folder: it is here already`, {
      hints: ['give the key of a bundle'],
    })
  const { signal, force, offline } = options
  const how = { network: offline ? 'never' : 'newest', ...(signal ? { signal } : {}) } as const
  return yield* withSource(settings, reference, how, async function* (source) {
    const filter = wanted(source, options)
    if (options.only) await assertSome(source, filter!, options.only)
    const result = yield* checkoutRelease(source, folder ?? source.manifest.name, {
      ...(filter ? { filter } : {}),
      ...(force ? { force } : {}),
      ...(signal ? { signal } : {}),
    })
    return { ...result, identity: source.identity, apps: Object.keys(source.manifest.apps) }
  })
}

/** Which paths are wanted; undefined for all of them. Throws APP_UNKNOWN. */
function wanted(
  { manifest }: ReleaseSource,
  { only, app }: GetOptions,
): ((path: string) => boolean) | undefined {
  if (!only && app === undefined) return undefined
  const matches = compilePatterns(only ?? [])
  const closure = app === undefined ? null : appClosure(manifest, app)
  return path => matches(path) || closure?.needs({ path }) === true
}

async function assertSome(
  source: ReleaseSource,
  filter: (path: string) => boolean,
  only: readonly string[],
): Promise<void> {
  for await (const { path } of source.entries()) if (filter(path)) return
  fail('NOT_FOUND', `nothing in this release matches "${only.join('" or "')}"`, {
    hints: [`repro ls ${source.identity.key}@${source.identity.release}`],
  })
}
