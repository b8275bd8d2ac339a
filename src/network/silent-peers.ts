import type { Bundle } from '../archive/store.ts'
import type { PeerConnections } from './peer-connections.ts'

/** A peer that owes an answer and brings less than this for so long is silent. Signs of life are smaller. */
const SILENCE_MS = 4000
const SILENT_BYTES = 1024
const TICK_MS = 1000
const BENCH_MS = 60_000

/**
 * Hypercore asks one peer for a block and waits for it for ever. While a bundle is wanted, a peer that takes requests
 * and stays silent is passed over for a while, as long as there is another to ask. Returns what ends it.
 */
export function passOverSilentPeers(bundle: Bundle, connections: PeerConnections): () => void {
  const debts = new Map<string, { readonly received: number; readonly since: number }>()
  const timer = setInterval(() => {
    const now = performance.now()
    const received = new Map<string, number>()
    for (const { peer, received: bytes, connected } of connections.traffic())
      if (connected) received.set(peer, (received.get(peer) ?? 0) + bytes)
    const owing = new Set(bundle.owing().filter(peer => received.has(peer)))
    for (const peer of debts.keys()) if (!owing.has(peer)) debts.delete(peer)
    const silent = [...owing].filter(peer => {
      const bytes = received.get(peer)!
      const debt = debts.get(peer)
      if (debt && bytes - debt.received < SILENT_BYTES) return now - debt.since >= SILENCE_MS
      debts.set(peer, { received: bytes, since: now })
      return false
    })
    if (silent.length < received.size)
      for (const peer of silent)
        connections.bench(peer, BENCH_MS, 'it was asked for blocks and sent nothing')
  }, TICK_MS)
  timer.unref()
  return () => clearInterval(timer)
}
