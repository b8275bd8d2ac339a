import type { FileEntry, WorkRecord } from '../../../schemas/index.ts'
import { ReproError } from '../../core/errors.ts'
import type { Home } from '../../core/home.ts'
import { type KeyReference, parseReference } from '../../core/reference.ts'
import type { Settings } from '../../core/settings.ts'
import { count } from '../../core/text.ts'
import { isMissing } from '../fetching-release.ts'
import { resolveKey, withHome } from './open-source.ts'

export interface ShareResult {
  readonly keys: readonly string[]
}

/** Warns of a bundle of others whose newest release is here in part alone. */
async function* tellPart(home: Home, key: string, signal: AbortSignal): AsyncGenerator<WorkRecord> {
  const own = (await home.list()).some(one => one.key === key && one.writable)
  if (own || signal.aborted) return
  const how = { network: 'never', history: 'cheap', signal } as const
  let here = 'not even its list of files'
  let name = key
  try {
    const release = await home.open({ kind: 'key', key }, how)
    name = `${key}@${release.record.release}`
    const files: FileEntry[] = []
    for await (const entry of release.entries()) if (entry.type === 'file') files.push(entry)
    const held = await release.held(files)
    if (held === files.length) return
    here = `${held} of ${count('file', files.length)}`
  } catch (error) {
    if (signal.aborted) return
    if (!(error instanceof ReproError)) throw error
    if (!isMissing(error)) here = error.message
  }
  yield {
    action: 'warning',
    subject: key,
    message: `only a part of ${name} is here and shared: ${here}`,
    hints: [`to share all of it, first: repro get ${name} <dir>`],
  }
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
      for (const key of sharing.keys) yield* tellPart(home, key, signal)
      yield* sharing.records(signal)
    } finally {
      await sharing.close()
    }
    return { keys: sharing.keys }
  })
}
