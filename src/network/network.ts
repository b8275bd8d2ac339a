import type { WorkRecord } from '../../schemas/index.ts'
import type { Bundle, BundleStore } from '../archive/store.ts'
import type { ReproError } from '../core/errors.ts'
import { formatHostPort } from '../core/host-port.ts'
import type { HostPort, Settings } from '../core/settings.ts'
import { type Held, noPeerError, type Tried } from './no-peer.ts'
import type { NoiseKeyPair } from './node-keys.ts'
import { PeerConnections, type PeerTraffic } from './peer-connections.ts'
import { notePublicNodes } from './public-nodes-note.ts'
import { passOverSilentPeers } from './silent-peers.ts'
import { SwarmRoute } from './swarm-route.ts'
import { listenTcp, TcpDialer, type TcpListener } from './tcp-route.ts'

/** One bundle among peers, until it is left. */
export interface Membership {
  /** Settles when the DHT knows that the bundle is served here; false when no DHT node took it, or none was asked to. */
  readonly announced: Promise<boolean>
  /** Peers of this bundle that sent wrong bytes and were dropped, since it was joined. */
  dishonest(): readonly string[]
  leave(): void
}

/** All routes from one home to peers. Data that comes by any of them is checked by the archive in the same way. */
export interface Network {
  /** Looks for peers of a bundle on every route at once; with `announce` it lets itself be found instead. */
  join(bundle: Bundle, options?: { readonly announce?: boolean }): Membership
  /** Accepts direct TCP peers until closed. Throws LISTEN_FAILED. */
  listen(where: HostPort): Promise<TcpListener>
  /** Hears of peers that come, go and are dropped. Returns what ends it. */
  onRecord(listener: (record: WorkRecord) => void): () => void
  /** Open connections. */
  readonly peers: number
  /** Bytes on the wire since the start, of all peers. */
  readonly received: number
  readonly sent: number
  /** Every connection since the start. */
  traffic(): readonly PeerTraffic[]
  /** True when no route is configured: nobody can be found, and waiting is of no use. */
  readonly unreachable: boolean
  /** NO_PEER for a bundle, saying what was tried. */
  noPeer(key: string, waitedMs: number, about?: NoPeerAbout): ReproError
  /** Ends all of it within two seconds. */
  destroy(): Promise<void>
}

/** What else is known when no peer helps. */
export interface NoPeerAbout {
  readonly cause?: unknown
  readonly held?: Held
}

export interface ConnectOptions {
  /** Hears what is said while the routes are opened. */
  readonly onStart?: (record: WorkRecord) => void
  /** Aborting is the same as `destroy`. */
  readonly signal?: AbortSignal
}

/** Opens the routes that the settings name. Only `join` with `announce` makes anything known about this home. */
export async function connect(
  store: BundleStore,
  keyPair: NoiseKeyPair,
  settings: Settings,
  { onStart, signal }: ConnectOptions = {},
): Promise<Network> {
  signal?.throwIfAborted()
  const note = settings.network.bootstrap === 'public' ? await notePublicNodes(settings.home) : null
  const network = new OpenNetwork(store, keyPair, settings)
  if (note) onStart?.(note)
  onStart?.({ action: 'connect', status: 'start', message: describeRoutes(settings) })
  if (signal) {
    const stop = () => void network.destroy()
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  }
  return network
}

class OpenNetwork implements Network {
  readonly #listeners = new Set<(record: WorkRecord) => void>()
  readonly #settings: Settings
  readonly #keyPair: NoiseKeyPair
  readonly #connections: PeerConnections
  readonly #swarm: SwarmRoute | null
  readonly #dialers: readonly TcpDialer[]
  readonly #tcpListeners: TcpListener[] = []
  readonly #memberships = new Set<Membership>()
  #destroyed: Promise<void> | null = null

  constructor(store: BundleStore, keyPair: NoiseKeyPair, settings: Settings) {
    const { bootstrap, peers } = settings.network
    this.#settings = settings
    this.#keyPair = keyPair
    this.#connections = new PeerConnections(store, record => this.tell(record))
    this.#swarm =
      bootstrap === 'none' ? null : new SwarmRoute(bootstrap, keyPair, this.#connections)
    this.#dialers = peers.map(address => new TcpDialer(address, keyPair, this.#connections))
  }

  tell(record: WorkRecord): void {
    for (const listener of this.#listeners) listener(record)
  }

  onRecord(listener: (record: WorkRecord) => void): () => void {
    const own = (record: WorkRecord) => listener(record)
    this.#listeners.add(own)
    return () => this.#listeners.delete(own)
  }

  join(bundle: Bundle, { announce = false }: { readonly announce?: boolean } = {}): Membership {
    const dishonest: string[] = []
    const stopListening = bundle.onDishonestPeer(({ peer, message }) => {
      dishonest.push(peer ?? 'unknown')
      if (peer !== null)
        this.#connections.ban(peer, `it sent wrong bytes of ${bundle.key}: ${message}`)
    })
    const topic = bundle.discoveryKey
    const announcing = announce && !this.#destroyed ? this.#swarm?.announce(topic) : undefined
    const looking = announce || this.#destroyed ? undefined : this.#swarm?.lookUp(topic)
    const stopWatching = announce ? () => undefined : passOverSilentPeers(bundle, this.#connections)
    const membership: Membership = {
      announced: announcing?.announced ?? Promise.resolve(false),
      dishonest: () => dishonest,
      leave: () => {
        if (!this.#memberships.delete(membership)) return
        stopListening()
        stopWatching()
        announcing?.leave()
        looking?.leave()
      },
    }
    this.#memberships.add(membership)
    return membership
  }

  async listen(where: HostPort): Promise<TcpListener> {
    const listener = await listenTcp(where, this.#keyPair, this.#connections)
    this.#tcpListeners.push(listener)
    if (this.#destroyed) listener.close()
    return listener
  }

  get peers(): number {
    return this.#connections.count
  }
  get received(): number {
    return this.#connections.received
  }
  get sent(): number {
    return this.#connections.sent
  }
  traffic(): readonly PeerTraffic[] {
    return this.#connections.traffic()
  }
  get unreachable(): boolean {
    return this.#swarm === null && this.#dialers.length === 0 && this.#connections.count === 0
  }

  noPeer(key: string, waitedMs: number, { cause, held }: NoPeerAbout = {}): ReproError {
    const tried: Tried = {
      bootstrap: this.#settings.network.bootstrap,
      dhtNodes: this.#swarm?.nodes ?? null,
      peers: this.#dialers.map(({ address, lastError }) => ({ address, error: lastError })),
      connected: this.peers,
      received: this.received,
      waitedMs,
      ...(held ? { held } : {}),
    }
    return noPeerError(key, tried, cause)
  }

  destroy(): Promise<void> {
    this.#destroyed ??= this.#destroy()
    return this.#destroyed
  }

  async #destroy(): Promise<void> {
    for (const membership of this.#memberships) membership.leave()
    for (const dialer of this.#dialers) dialer.close()
    for (const listener of this.#tcpListeners) listener.close()
    this.#connections.destroy()
    await this.#swarm?.close()
    this.#listeners.clear()
  }
}

function describeRoutes({ network: { bootstrap, peers } }: Settings): string {
  const routes = [
    ...(bootstrap === 'none'
      ? []
      : [
          bootstrap === 'public'
            ? 'the public DHT'
            : `the DHT at ${bootstrap.map(formatHostPort).join(', ')}`,
        ]),
    ...(peers.length > 0 ? [`direct TCP to ${peers.map(formatHostPort).join(', ')}`] : []),
  ]
  return routes.length > 0 ? `peers by ${routes.join(' and ')}` : 'no route to peers is configured'
}
