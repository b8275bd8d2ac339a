import type { WorkRecord } from '../../../schemas/index.ts'
import { checkoutRelease } from '../../archive/checkout.ts'
import { appClosure } from '../../core/app-closure.ts'
import { fail } from '../../core/errors.ts'
import { compilePattern, compilePatterns } from '../../core/glob.ts'
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
  /** Reads what is in the folder already, whatever was noted of it when it was written. */
  readonly rehash?: boolean
  /** Asks no peer. */
  readonly offline?: boolean
  readonly signal?: AbortSignal
}

export interface Gotten {
  readonly identity: ReleaseIdentity
  readonly folder: string
  /** False when only a part of the release was asked for. */
  readonly complete: boolean
  /** Paths written, left as they were, and removed because the release does not have them. */
  readonly files: number
  readonly unchanged: number
  readonly removed: number
  readonly bytes: number
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
  const { signal, force, rehash, offline } = options
  const how = { network: offline ? 'never' : 'newest', ...(signal ? { signal } : {}) } as const
  return yield* withSource(settings, reference, how, async function* (source) {
    const filter = wanted(source, options)
    if (options.only) yield* checkPatterns(source, options.only)
    const done = yield* checkoutRelease(source, folder ?? source.manifest.name, {
      ...(filter ? { filter } : {}),
      ...(force ? { force } : {}),
      ...(rehash ? { rehash } : {}),
      ...(signal ? { signal } : {}),
    })
    return {
      identity: source.identity,
      folder: done.folder,
      complete: !done.partial,
      files: done.written,
      unchanged: done.unchanged,
      removed: done.removed,
      bytes: done.bytes,
      apps: Object.keys(source.manifest.apps),
    }
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

/** Warns of patterns that match nothing. Throws NOT_FOUND when none matches. */
async function* checkPatterns(
  source: ReleaseSource,
  only: readonly string[],
): AsyncGenerator<WorkRecord> {
  let idle = only.map(text => compilePattern(text))
  for await (const { path } of source.entries()) {
    idle = idle.filter(pattern => !pattern.matches(path))
    if (idle.length === 0) return
  }
  const hints = [`repro ls ${source.identity.key}@${source.identity.release}`]
  const texts = idle.map(({ text }) => `"${text}"`).join(', ')
  if (idle.length === only.length)
    fail('NOT_FOUND', `nothing in this release matches ${texts}`, { hints })
  yield { action: 'warning', message: `nothing in this release matches ${texts}`, hints }
}
