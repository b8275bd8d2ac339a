import type { ManifestFile } from '../core/manifest-file.ts'
import type { Settings } from '../core/settings.ts'
import type { StatCache } from '../system/stat-cache.ts'
import type { Ingest } from './hash-tree.ts'
import type { Tree } from './walk.ts'

/** What a first look at a folder gives. */
export interface Survey {
  /** Its real path. */
  readonly root: string
  readonly known: StatCache
  readonly file: ManifestFile
  readonly tree: Tree
}

export interface PrepareOptions {
  readonly settings: Pick<Settings, 'cache'>
  readonly signal?: AbortSignal
  /** `publish`: whatever publish refuses is refused. `run` (default): secrets stay here, expectations may be missing or stale. */
  readonly purpose?: 'publish' | 'run'
  /** Captures `host:` images anew. */
  readonly recapture?: boolean
  /** Reads every file again, also those that are as they were when they were hashed last. */
  readonly rehash?: boolean
  /**
   * Reads files that must be hashed, and may store them while it does. It is called when all is checked that can be
   * checked without their hashes. Default: only hashes.
   */
  readonly ingest?: Ingest
  /** A first look that was begun before, while something else had to be waited for. */
  readonly survey?: Promise<Survey>
  /** The clock, for tests. */
  readonly now?: () => Date
}
