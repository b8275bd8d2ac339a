import type { WorkRecord } from '../../../schemas/index.ts'
import { type KeyReference, parseReference } from '../../core/reference.ts'
import type { Settings } from '../../core/settings.ts'
import { count } from '../../core/text.ts'
import { resolveKey, withHome } from './open-source.ts'

export interface ShareResult {
  readonly keys: readonly string[]
}

/**
 * Serves bundles to peers until `signal` is aborted; all bundles of the home when `refs` is empty.
 * The first `entry` record says that peers can come: `data` has `keys` and `listening`.
 * Throws NOT_FOUND, STORE_BUSY.
 */
export async function* share(
  settings: Settings,
  refs: readonly string[],
  { signal }: { readonly signal: AbortSignal },
): AsyncGenerator<WorkRecord, ShareResult> {
  return yield* withHome(settings, async function* (home) {
    const keys: KeyReference[] = []
    for (const ref of refs) keys.push(await resolveKey(home, parseReference(ref)))
    const sharing = await home.share(keys, signal)
    try {
      yield {
        action: 'entry',
        message: `sharing ${count('bundle', sharing.keys.length)} until stopped`,
        data: { keys: [...sharing.keys], listening: sharing.listening },
      }
      for (const key of sharing.keys) yield { action: 'entry', subject: key, message: `  ${key}` }
      yield* sharing.records(signal)
    } finally {
      await sharing.close()
    }
    return { keys: sharing.keys }
  })
}
