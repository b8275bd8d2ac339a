import type Hypercore from 'hypercore'
import { enterPhase } from '../../system/phase.ts'
import { Patience, type PeerView } from '../patience.ts'
import { storeError } from '../store-errors.ts'
import { peerHas } from './held-by-peers.ts'
import type { RepairJournal } from './repair-journal.ts'

const AT_ONCE = 16
const TRIES = 3
/** How long peers are listened to for whether they have a block. */
const TELL_MS = 3000
const TICK_MS = 50

export interface RefetchOptions {
  readonly stallMs: number
  readonly signal?: AbortSignal
}

/**
 * Puts blocks right that are damaged or missing here: gives each up and gets it anew from a peer, against the signed
 * tree. A damaged block that no connected peer says to have is left as it is. What is given up is in the journal until it
 * is back, so that a repair which was killed is finished by the next. Yields those that are right now. Throws INTERRUPTED,
 * DISK_FULL.
 */
export async function* refetchBlocks(
  core: Hypercore,
  indexes: readonly number[],
  host: PeerView,
  journal: RepairJournal,
  options: RefetchOptions,
): AsyncGenerator<number> {
  const offered = await offeredBy(core, indexes, options.signal)
  for (let at = 0; at < offered.length; at += AT_ONCE) {
    const some = offered.slice(at, at + AT_ONCE)
    await journal.begin(core, some)
    enterPhase('repair')
    let left = some
    // What fails for another reason than silence is asked for again: a stream that ended may be back.
    for (let tries = 0; tries < TRIES && left.length > 0; tries++) {
      const patience = new Patience(host, options)
      const back = await Promise.allSettled(
        left.map(async index => {
          await core.clear(index, index + 1)
          enterPhase('repair')
          return await patience.wait(core.get(index, { wait: true, raw: true }))
        }),
      )
      options.signal?.throwIfAborted()
      const faults = back.flatMap(one =>
        one.status === 'rejected' ? [storeError(one.reason, host.key, host.folder)] : [],
      )
      // Peers are not to blame for what this disk has no room for.
      const full = faults.find(error => error.code === 'DISK_FULL')
      if (full) throw full
      left = left.filter((_, i) => {
        const one = back[i]!
        return one.status === 'rejected' || one.value === null
      })
      if (faults.some(error => error.code === 'NO_PEER')) break
    }
    const right = some.filter(index => !left.includes(index))
    await journal.end(core, right)
    yield* right
  }
}

/** Those of `indexes` that a connected peer says to have. Peers that have just connected need a moment to say it. */
export async function offeredBy(
  core: Hypercore,
  indexes: readonly number[],
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const isOffered = (index: number) => core.peers.some(peer => peerHas(peer, index))
  for (let waited = 0; waited < TELL_MS && !indexes.every(isOffered); waited += TICK_MS) {
    signal?.throwIfAborted()
    await new Promise(resolve => setTimeout(resolve, TICK_MS))
  }
  return indexes.filter(isOffered)
}
