import type { WorkRecord } from '../../../schemas/index.ts'
import { isOwnBundle } from '../../archive/own-bundles.ts'
import { type CheckResult, checkFolder } from '../../author/check.ts'
import type { Settings } from '../../core/settings.ts'
import { withUsableCache } from '../usable-cache.ts'

export type { CheckResult } from '../../author/check.ts'

export interface CheckOptions {
  /** Captures `host:` images anew. */
  readonly recapture?: boolean
  /** Believes nothing that was noted of the files before. */
  readonly rehash?: boolean
  readonly signal?: AbortSignal
}

/** Finds everything that publish would refuse, without publishing or opening the store. Throws what `checkFolder` throws. */
export async function* check(
  settings: Settings,
  folder: string,
  options: CheckOptions = {},
): AsyncGenerator<WorkRecord, CheckResult> {
  const isWritable = (key: string) => isOwnBundle(settings.home, key)
  return yield* withUsableCache(settings, usable =>
    checkFolder(folder, { settings: usable, isWritable, ...options }),
  )
}
