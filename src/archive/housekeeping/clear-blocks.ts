import type Hypercore from 'hypercore'
import { enterPhase } from '../../system/phase.ts'
import { storeError } from '../store-errors.ts'
import type { BlockSet } from './block-set.ts'
import { heldRuns, runsWithin } from './held-blocks.ts'

/**
 * Gives up the blocks of a core that are not in `kept`. Killed at any point, each block is either here or given up.
 * The disk shrinks when the store is compacted. Throws WRITE_FAILED, DISK_FULL, INTERRUPTED.
 */
export async function clearOthers(
  core: Hypercore,
  kept: BlockSet,
  subject: string,
  signal?: AbortSignal,
): Promise<void> {
  // Runs are found first: clearing changes what they are read from.
  await clearRuns(core, [...runsWithin(core, kept, false)], subject, signal)
}

/** Gives up all blocks of a core. */
export async function clearAll(core: Hypercore, subject: string, signal?: AbortSignal) {
  await clearRuns(core, [...heldRuns(core)], subject, signal)
}

async function clearRuns(
  core: Hypercore,
  runs: readonly { readonly start: number; readonly end: number }[],
  subject: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    for (const { start, end } of runs) {
      signal?.throwIfAborted()
      enterPhase('clear')
      await core.clear(start, end)
    }
  } catch (error) {
    throw storeError(error, subject)
  }
}
