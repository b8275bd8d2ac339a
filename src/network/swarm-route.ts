import DHT from 'hyperdht'
import Hyperswarm, { type DiscoverySession } from 'hyperswarm'
import { formatHostPort, isLoopback } from '../core/host-port.ts'
import type { NetworkSettings } from '../core/settings.ts'
import type { NoiseKeyPair } from './node-keys.ts'
import type { PeerConnections } from './peer-connections.ts'

/** While nobody is connected, a topic is looked up again this often. */
const LOOK_AGAIN_MS = 2500
const CLOSE_MS = 1200
const FORCE_MS = 400

/** Finding peers by Hyperswarm, over the DHT whose bootstrap nodes the settings name. */
export class SwarmRoute {
  readonly #dht: DHT
  readonly #swarm: Hyperswarm
  readonly #connections: PeerConnections
  #closed = false

  constructor(
    bootstrap: Exclude<NetworkSettings['bootstrap'], 'none'>,
    keyPair: NoiseKeyPair,
    connections: PeerConnections,
  ) {
    this.#connections = connections
    this.#dht = new DHT(dhtOptions(bootstrap))
    this.#swarm = new Hyperswarm({
      dht: this.#dht,
      keyPair,
      firewall: key => connections.isRefused(key.toString('hex')),
    })
    this.#swarm.on('connection', stream => {
      const { remoteHost = 'an unknown address', remotePort } = stream.rawStream ?? {}
      connections.add(
        stream,
        'swarm',
        remotePort ? formatHostPort({ host: remoteHost, port: remotePort }) : remoteHost,
      )
    })
  }

  /** DHT nodes known to answer. */
  get nodes(): number {
    return this.#dht.toArray().length
  }

  /** Looks for peers of a topic until it is left. */
  lookUp(topic: Buffer): { leave(): void } {
    const session = this.#swarm.join(topic, { client: true, server: false })
    const timer = setInterval(() => {
      if (this.#connections.count > 0 || this.#closed) return
      session.refresh({ client: true, server: false }).catch(() => undefined) // tried again
    }, LOOK_AGAIN_MS)
    timer.unref()
    return { leave: () => this.#leave(session, timer) }
  }

  /** Lets peers of a topic find this home until it is left. `announced` is false when no DHT node took it. */
  announce(topic: Buffer): { readonly announced: Promise<boolean>; leave(): void } {
    const session = this.#swarm.join(topic, { client: false, server: true })
    return {
      announced: session.flushed().then(
        done => done && this.nodes > 0,
        () => false,
      ),
      leave: () => this.#leave(session),
    }
  }

  /** Leaves every topic and ends. Done within two seconds, whatever the network does. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const gentle = this.#swarm.destroy().catch(() => undefined)
    if (await within(CLOSE_MS, gentle)) return
    await within(
      FORCE_MS,
      this.#dht.destroy({ force: true }).catch(() => undefined),
    )
  }

  #leave(session: DiscoverySession, timer?: NodeJS.Timeout): void {
    clearInterval(timer)
    if (!this.#closed) session.destroy().catch(() => undefined) // the DHT forgets it by itself
  }
}

/**
 * A DHT on this machine alone answers at 127.0.0.1 and is behind no firewall; a node that does not know it
 * would lose seconds with hole punching. Elsewhere the node finds out by itself.
 */
function dhtOptions(bootstrap: Exclude<NetworkSettings['bootstrap'], 'none'>) {
  if (bootstrap === 'public') return {}
  if (bootstrap.every(({ host }) => isLoopback(host))) {
    const nodes = bootstrap.map(({ port }) => ({ host: '127.0.0.1', port }))
    return { bootstrap: nodes, host: '127.0.0.1', firewalled: false, ephemeral: true }
  }
  return { bootstrap }
}

/** True when `work` settled in time. */
async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>(resolve => {
    timer = setTimeout(() => resolve(false), ms)
  })
  const done = await Promise.race([work.then(() => true), late])
  clearTimeout(timer)
  return done
}
