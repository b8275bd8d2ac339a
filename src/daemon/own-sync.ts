import type { WorkRecord } from '../../schemas/index.ts'
import type { Bundle } from '../archive/store.ts'
import { describeCaughtUp, describeReason, syncNeeded } from '../archive/sync-reason.ts'
import { isMissing } from './fetching-release.ts'
import type { Ground } from './find-release.ts'
import { waitForPeer } from './peer-search.ts'

/** How long peers are looked for when all that anybody can have was durable here. */
const UNLIKELY_MS = 10_000

export interface SyncOptions {
  /** Writes without asking: the caller knows that nobody has anything newer. */
  readonly unsynced?: boolean
  /** The newest release that is known of. */
  readonly released?: number
  readonly signal?: AbortSignal
}

/**
 * Brings an own bundle up to date with its peers where writing at once could give the bundle a second history: its key
 * was imported, the machine stopped while it was written, or the store is older than it was. Asks nobody otherwise.
 * Without a peer it goes on only after a machine's stop, because what peers can have had been made durable before.
 * Throws SYNC_NEEDED, INTERRUPTED.
 */
export async function* syncOwn(
  ground: Ground,
  { unsynced = false, released = 0, signal }: SyncOptions,
): AsyncGenerator<WorkRecord> {
  const { bundle, store, waitMs, join } = ground
  const reason = await bundle.unsynced(released)
  if (reason === null) return
  const subject = bundle.key
  const why = describeReason(reason)
  if (unsynced) {
    yield { action: 'note', subject, message: `written without asking peers, although ${why}` }
    return await bundle.mayWrite()
  }
  yield {
    action: 'connect',
    status: 'start',
    subject,
    message: `asking peers for the newest state, because ${why}`,
  }
  const timeoutMs = reason === 'machine-stopped' ? Math.min(waitMs, UNLIKELY_MS) : waitMs
  const records: WorkRecord[] = []
  const network = await join(record => records.push(record))
  yield* records
  const deadline = performance.now() + timeoutMs
  const limits = { deadline, ...(signal ? { signal } : {}) }
  if (await waitForPeer(bundle, store, network, limits)) {
    const left = Math.max(2000, deadline - performance.now())
    const caughtUp = await takeOver(bundle, left, signal)
    // A peer that said it has more and does not give it is a sign of something newer.
    if (caughtUp === null) throw syncNeeded(subject, reason)
    if (await bundle.isBehind(released)) throw syncNeeded(subject, 'store-behind')
    const message = describeCaughtUp(caughtUp)
    const lonely = reason !== 'machine-stopped' && caughtUp.peers === 1
    const hints = [
      'if others share the bundle, stop now and name them too: one peer may have an old state',
    ]
    yield { action: 'note', subject, message, peers: caughtUp.peers, ...(lonely ? { hints } : {}) }
    return await bundle.mayWrite()
  }
  if (reason !== 'machine-stopped') throw syncNeeded(subject, reason)
  yield {
    action: 'note',
    subject,
    message:
      'no peer answered; publishing goes on, because nothing was shared or printed before it was safe on disk',
    hints: [`if readers have a newer release than repro log ${subject} shows here, stop now`],
  }
  await bundle.mayWrite()
}

/** Null when the peers that are connected do not give what they said they have. */
async function takeOver(bundle: Bundle, timeoutMs: number, signal: AbortSignal | undefined) {
  try {
    return await bundle.catchUp({ timeoutMs, ...(signal ? { signal } : {}) })
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}
