import type { Settings } from '../core/settings.ts'

export interface PrepareOptions {
  readonly settings: Pick<Settings, 'cache'>
  readonly signal?: AbortSignal
  /** `publish`: whatever publish refuses is refused. `run` (default): secrets stay here, expectations may be missing or stale. */
  readonly purpose?: 'publish' | 'run'
  /** Captures `host:` images anew. */
  readonly recapture?: boolean
}
