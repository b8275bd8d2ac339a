import type NoiseSecretStream from '@hyperswarm/secret-stream'
import type { WorkRecord } from '../../schemas/index.ts'
import type { BundleStore } from '../archive/store.ts'
import { count, escapeControl, formatBytes } from '../core/text.ts'

export type Route = 'swarm' | 'tcp'

/** What went over one connection, or over all of one peer's. */
export interface PeerTraffic {
  /** Public key of the peer's node, hex. */
  readonly peer: string
  readonly route: Route
  readonly address: string
  /** Bytes on the wire: blocks, proofs and protocol. */
  readonly received: number
  readonly sent: number
  readonly connected: boolean
}

interface Connection {
  readonly peer: string
  readonly route: Route
  readonly address: string
  readonly stream: NoiseSecretStream
}

/** A peer that says nothing at all for this long is gone; each end sends a sign of life every 5 s. */
const SILENCE_MS = 20_000
/** Ended connections that are remembered one by one; older ones only in the totals. */
const MAX_ENDED = 1000

/** Every open connection of a home, whatever route it came by: counts bytes, and keeps dishonest peers out. */
export class PeerConnections {
  readonly #store: BundleStore
  readonly #emit: (record: WorkRecord) => void
  readonly #open = new Set<Connection>()
  readonly #ended: PeerTraffic[] = []
  readonly #banned = new Map<string, string>()
  readonly #benchedUntil = new Map<string, number>()
  #endedReceived = 0
  #endedSent = 0
  #closed = false

  constructor(store: BundleStore, emit: (record: WorkRecord) => void) {
    this.#store = store
    this.#emit = emit
  }

  /** Takes a connection whose handshake is done. False when it was refused and ended. */
  add(stream: NoiseSecretStream, route: Route, address: string): boolean {
    stream.on('error', () => undefined) // its end is told by 'close'
    const peer = stream.remotePublicKey?.toString('hex') ?? ''
    if (this.#closed || peer === '' || this.isRefused(peer) || stream.destroyed) {
      stream.destroy()
      return false
    }
    const connection = { peer, route, address, stream }
    this.#open.add(connection)
    stream.setTimeout(SILENCE_MS)
    stream.once('close', () => this.#end(connection))
    const replication = this.#store.replicate(stream)
    if (replication !== stream) replication.on('error', () => stream.destroy())
    this.#tell(connection, 'start', `connected to ${name(connection)}`)
    return true
  }

  /** Ends every connection of a peer and refuses new ones, until this process ends. */
  ban(peer: string, reason: string): void {
    if (this.#banned.has(peer)) return
    this.#banned.set(peer, reason)
    this.#emit({
      action: 'warning',
      status: 'warn',
      subject: shortPeer(peer),
      message: `dropped the peer ${shortPeer(peer)}: ${escapeControl(reason)}`,
      peers: this.count - this.#of(peer).length,
      data: { peer, reason },
    })
    for (const { stream } of this.#of(peer)) stream.destroy()
  }

  /** Ends every connection of a peer and refuses new ones for a while. */
  bench(peer: string, ms: number, reason: string): void {
    this.#benchedUntil.set(peer, performance.now() + ms)
    this.#emit({
      action: 'note',
      subject: shortPeer(peer),
      message: `passed over the peer ${shortPeer(peer)} for a while: ${reason}`,
      data: { peer, reason },
    })
    for (const { stream } of this.#of(peer)) stream.destroy()
  }

  isRefused(peer: string): boolean {
    const until = this.#benchedUntil.get(peer) ?? 0
    return this.#banned.has(peer) || performance.now() < until
  }

  /** Open connections. */
  get count(): number {
    return this.#open.size
  }

  get received(): number {
    return sum([...this.#open].map(c => c.stream.rawBytesRead)) + this.#endedReceived
  }

  get sent(): number {
    return sum([...this.#open].map(c => c.stream.rawBytesWritten)) + this.#endedSent
  }

  /** Every connection there was, open ones last. */
  traffic(): PeerTraffic[] {
    return [...this.#ended, ...[...this.#open].map(c => trafficOf(c, true))]
  }

  destroy(): void {
    this.#closed = true
    for (const { stream } of this.#open) stream.destroy()
  }

  #of(peer: string): Connection[] {
    return [...this.#open].filter(connection => connection.peer === peer)
  }

  #end(connection: Connection): void {
    if (!this.#open.delete(connection)) return
    const traffic = trafficOf(connection, false)
    const { received, sent } = traffic
    this.#endedReceived += received
    this.#endedSent += sent
    this.#ended.push(traffic)
    if (this.#ended.length > MAX_ENDED) this.#ended.shift()
    this.#tell(
      connection,
      'ok',
      `${name(connection)} is gone (received ${formatBytes(received)}, sent ${formatBytes(sent)})`,
    )
  }

  #tell(connection: Connection, status: 'start' | 'ok', message: string): void {
    this.#emit({
      action: 'peer',
      status,
      subject: connection.address,
      message: `${message}, ${count('peer', this.count)} now`,
      peers: this.count,
      data: { ...trafficOf(connection, status === 'start') },
    })
  }
}

function trafficOf(connection: Connection, connected: boolean): PeerTraffic {
  const { peer, route, address, stream } = connection
  return {
    peer,
    route,
    address,
    received: stream.rawBytesRead,
    sent: stream.rawBytesWritten,
    connected,
  }
}

const name = ({ peer, route, address }: Connection) =>
  `peer ${shortPeer(peer)} at ${escapeControl(address)} over ${route === 'tcp' ? 'TCP' : 'the swarm'}`
const shortPeer = (peer: string) => peer.slice(0, 8)
const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)
