import type { WorkRecord } from '../../schemas/index.ts'
import type { Bundle, BundleStore } from '../archive/store.ts'
import { ReproError } from '../core/errors.ts'
import type { OpenOptions } from '../core/home.ts'
import { formatDuration } from '../core/text.ts'
import type { Network } from '../network/network.ts'
import { isDamaged, isMissing } from './fetching-release.ts'
import { pause, waitForPeer } from './peer-search.ts'

/** How long peers are asked for something newer when an older release is here. */
const NEWER_MS = 5000
/** How long other peers are waited for when those connected do not have the release. */
const GRACE_MS = 3000
const MIN_STALL_MS = 2000

/** What the search stands on. */
export interface Ground {
  readonly bundle: Bundle
  readonly store: BundleStore
  /** How long peers are looked for. */
  readonly waitMs: number
  /** Joins the bundle on the network; kept joined until the home closes. */
  join(onRecord?: OpenOptions['onRecord']): Promise<Network>
}

/** Something that can be read of a bundle. */
export interface Reading<T> {
  /** Reads with so much patience: `stallMs` of archive's ReadLimits, 0 for what is here. */
  read(stallMs: number): Promise<T>
  /** Whether what is here cannot get newer. */
  readonly pinned: boolean
  /** Closes what was read from here when peers gave something newer. */
  readonly discard?: (value: T) => Promise<void>
}

/** What was read, and where. */
export interface Answer<T> {
  readonly value: T
  /** The network that gave it; null when it was here. */
  readonly network: Network | null
}

/**
 * Reads something of a bundle in one of the three ways of `OpenOptions.network`.
 * Throws what the reading throws, and NO_PEER with what was tried.
 */
export async function readBundle<T>(
  ground: Ground,
  reading: Reading<T>,
  options: OpenOptions,
): Promise<Answer<T>> {
  const { network: mode } = options
  if (mode === 'never' || ground.bundle.writable)
    return { value: await reading.read(0), network: null }
  const here = await fromHere(reading)
  if (here !== null && (mode === 'missing' || reading.pinned)) return { value: here, network: null }
  try {
    const found = await fromPeers(ground, reading, here !== null, options)
    if (found !== null && here !== null) await reading.discard?.(here)
    if (found !== null) return found
  } catch (error) {
    if (here !== null) await reading.discard?.(here)
    throw error
  }
  return { value: here!, network: null }
}

/** What is here alone; null when it is not. */
async function fromHere<T>({ read }: Reading<T>): Promise<T | null> {
  try {
    return await read(0)
  } catch (error) {
    if (isMissing(error) || isNotFound(error) || isDamaged(error)) return null
    throw error
  }
}

/** What peers give; null when none does in time and something older is here. */
async function fromPeers<T>(
  { bundle, store, waitMs, join }: Ground,
  { read }: Reading<T>,
  haveOlder: boolean,
  { signal, onRecord }: OpenOptions,
): Promise<Answer<T> | null> {
  const start = performance.now()
  const { key } = bundle
  onRecord?.({ action: 'connect', status: 'start', subject: key, message: 'looking for peers' })
  const network = await join(onRecord)
  const stop = onRecord ? network.onRecord(onRecord) : () => undefined
  const waited = () => performance.now() - start
  let cause: unknown
  try {
    const deadline = start + (haveOlder ? Math.min(NEWER_MS, waitMs) : waitMs)
    const limits = { deadline, ...(signal ? { signal } : {}) }
    if (await waitForPeer(bundle, store, network, limits))
      return { value: await readPatiently(read, deadline, signal), network }
  } catch (error) {
    if (!isMissing(error)) throw error
    cause = error
  } finally {
    stop()
  }
  if (!haveOlder) throw network.noPeer(key, waited(), { cause })
  onRecord?.(stale(key, waited()))
  return null
}

/** A peer may know less than another that is still being looked for. */
async function readPatiently<T>(
  read: Reading<T>['read'],
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  const until = Math.min(deadline, performance.now() + GRACE_MS)
  for (;;) {
    try {
      return await read(Math.max(MIN_STALL_MS, deadline - performance.now()))
    } catch (error) {
      if (!isNotFound(error) || performance.now() >= until) throw error
      await pause(250, signal)
    }
  }
}

const isNotFound = (error: unknown) => error instanceof ReproError && error.code === 'NOT_FOUND'

function stale(key: string, ms: number): WorkRecord {
  return {
    action: 'note',
    subject: key,
    message: `no peer answered within ${formatDuration(ms)}: this is what was here already, there may be newer`,
  }
}
