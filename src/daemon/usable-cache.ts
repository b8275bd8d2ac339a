import { access, constants, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { WorkRecord } from '../../schemas/index.ts'
import type { Settings } from '../core/settings.ts'

/**
 * Does `work` with the cache of `settings`; where that cannot be written to, with a private folder that is removed
 * afterwards, after a warning. For work that only looks: what it caches is of no use to anyone later.
 */
export async function* withUsableCache<T>(
  settings: Settings,
  work: (settings: Settings) => AsyncGenerator<WorkRecord, T>,
): AsyncGenerator<WorkRecord, T> {
  const fault = await faultOf(settings.cache)
  if (fault === null) return yield* work(settings)
  const cache = await mkdtemp(join(tmpdir(), 'repro-cache-'))
  try {
    yield {
      action: 'warning',
      message: `the cache "${settings.cache}" cannot be written to (${fault}): a temporary one is used`,
      hints: ['set REPRO_CACHE to a folder of yours on a disk with space'],
    }
    return yield* work({ ...settings, cache })
  } finally {
    await rm(cache, { recursive: true, force: true })
  }
}

async function faultOf(folder: string): Promise<string | null> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await access(folder, constants.W_OK | constants.X_OK)
    return null
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown'
  }
}
