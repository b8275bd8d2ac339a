import type { Bundle, BundleStore } from '../archive/store.ts'
import type { Network } from '../network/network.ts'

const POLL_MS = 30

/** Where and how long to look. */
export interface SearchLimits {
  readonly signal?: AbortSignal
  /** When to give up, on the clock of `performance.now()`. */
  readonly deadline: number
}

/**
 * Waits until a peer of the bundle is connected and has told how much it has. True when one is.
 * The network must have been joined. Throws INTERRUPTED's cause when aborted.
 */
export async function waitForPeer(
  bundle: Bundle,
  store: BundleStore,
  network: Network,
  { signal, deadline }: SearchLimits,
): Promise<boolean> {
  const found = store.findingPeers()
  try {
    while (bundle.peers() === 0) {
      signal?.throwIfAborted()
      const left = deadline - performance.now()
      if (left <= 0 || network.unreachable) return false
      await pause(Math.min(POLL_MS, left), signal)
    }
  } finally {
    found()
  }
  const left = deadline - performance.now()
  await bundle.update({ timeoutMs: Math.max(200, left), ...(signal ? { signal } : {}) })
  return true
}

/** Waits without keeping anything alive when aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted()
  await new Promise<void>((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
