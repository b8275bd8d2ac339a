import type { WorkRecord } from '../../schemas/index.ts'
import { StatCache, type StatFile } from '../system/stat-cache.ts'
import type { PrepareOptions } from './prepare-options.ts'
import { SECRETS_VERSION } from './secret-patterns.ts'

/** What is known of the files of a folder since they were hashed and looked through for secrets. Before the walk. */
export async function openKnown(
  root: string,
  { settings, rehash, now }: Pick<PrepareOptions, 'settings' | 'rehash' | 'now'>,
): Promise<StatCache> {
  return await StatCache.open(settings.cache, root, {
    marks: SECRETS_VERSION,
    ...(rehash ? { rehash } : {}),
    ...(now ? { now } : {}),
  })
}

/** Keeps it for the next time, and is done with it. Where that cannot be, all is read again then: no reason to refuse now. */
export async function* keepKnown(
  known: StatCache,
  files: readonly StatFile[],
  memo?: string,
): AsyncGenerator<WorkRecord, void> {
  const fault = await known.save(files, memo)
  known.close()
  if (fault === null) return
  const message = `the hashes are not kept, and all files will be read again the next time: ${fault}`
  yield { action: 'warning', status: 'warn', message }
}
