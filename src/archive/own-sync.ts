import type Hypercore from 'hypercore'
import type { Patience } from './patience.ts'

const POLL_MS = 50

/**
 * Asks connected peers for a longer history of cores that this home writes, for `settleMs` after the last that came or
 * until `enough`, and takes it over: it was signed with the same key.
 */
export async function catchUpCores(
  cores: readonly Hypercore[],
  patience: Patience,
  limits: { readonly deadline: number; readonly settleMs: number; enough(): boolean },
): Promise<void> {
  let last = performance.now()
  let length = lengthsOf(cores)
  for (;;) {
    patience.throwIfAborted()
    for (const core of cores) core.update({ force: true }).catch(() => undefined)
    const now = lengthsOf(cores)
    const behind = cores.some(core => core.peers.some(peer => peer.remoteLength > core.length))
    if (now !== length || behind) last = performance.now()
    length = now
    const answered = cores[0]!.peers.some(peer => peer.remoteSynced)
    const settled = answered && limits.enough() && performance.now() - last >= limits.settleMs
    if (settled || performance.now() >= limits.deadline) return
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
}

/** Fetches the blocks of a core that are not here. Throws NO_PEER when they do not come. */
export async function fetchBlocks(
  core: Hypercore,
  start: number,
  end: number,
  patience: Patience,
): Promise<void> {
  if (start >= end || (await core.has(start, end))) return
  const download = core.download({ start, end })
  try {
    await patience.wait(download.done())
  } finally {
    download.destroy()
  }
  for (let index = start; index < end; index++)
    if (!(await core.has(index))) await patience.wait(core.get(index))
}

interface Recovering {
  readonly header: { readonly hints: { recovering: number } }
  hintsChanged: boolean
  flushHints(): Promise<void>
}

const coreOf = (hypercore: Hypercore) => (hypercore as unknown as { core: Recovering }).core

/** Whether hypercore-storage threw away a damaged log of writes: Hypercore then waits for peers before it appends. */
export function isRecovering(hypercore: Hypercore): boolean {
  return coreOf(hypercore).header.hints.recovering > 0
}

/** Ends that: the caller asked peers, or takes the risk. */
export async function endRecovery(hypercore: Hypercore): Promise<void> {
  const core = coreOf(hypercore)
  if (core.header.hints.recovering === 0) return
  core.header.hints.recovering = 0
  core.hintsChanged = true
  await core.flushHints()
}

const lengthsOf = (cores: readonly Hypercore[]) => cores.reduce((sum, core) => sum + core.length, 0)
