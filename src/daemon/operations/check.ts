import type { WorkRecord } from '../../../schemas/index.ts'
import { type CheckResult, checkFolder } from '../../author/check.ts'
import type { Settings } from '../../core/settings.ts'

export type { CheckResult } from '../../author/check.ts'

export interface CheckOptions {
  /** Captures `host:` images anew. */
  readonly recapture?: boolean
  readonly signal?: AbortSignal
}

/** Finds everything that publish would refuse, without publishing. Throws what `checkFolder` throws. */
export async function* check(
  settings: Settings,
  folder: string,
  options: CheckOptions = {},
): AsyncGenerator<WorkRecord, CheckResult> {
  return yield* checkFolder(folder, { settings, ...options })
}
