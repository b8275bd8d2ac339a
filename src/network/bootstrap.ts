import DHT from 'hyperdht'
import { fail } from '../core/errors.ts'
import { formatHostPort } from '../core/host-port.ts'
import type { HostPort } from '../core/settings.ts'

/** A DHT node that others start from. */
export interface BootstrapNode {
  readonly address: HostPort
  close(): Promise<void>
}

/** Fewer nodes cannot tell a peer that it is reachable, and the first connection takes 13 s (hyperdht, 6.34). */
const MIN_NODES = 4

/**
 * Runs one DHT bootstrap node. `host` is the IPv4 address at which others reach it, and `port` 0 takes any free one.
 * Throws USAGE for other addresses, LISTEN_FAILED when the port is taken.
 */
export async function runBootstrap({ host, port }: HostPort): Promise<BootstrapNode> {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(host) || host === '0.0.0.0')
    fail('USAGE', `"${host}" is no IPv4 address at which others can reach this node`, {
      hints: ['repro bootstrap --host <address of this machine> --port 49737'],
    })
  const options = { ephemeral: false, firewalled: false, bootstrap: [], host }
  const dht =
    port === 0
      ? new DHT({ ...options, port: freePort(), anyPort: true })
      : DHT.bootstrapper(port, host, { host })
  try {
    await dht.fullyBootstrapped()
    return { address: { host, port: dht.address()?.port ?? port }, close: () => dht.destroy() }
  } catch (cause) {
    await dht.destroy().catch(() => undefined)
    return fail(
      'LISTEN_FAILED',
      `cannot run a DHT node at ${formatHostPort({ host, port })}: ${(cause as Error).message}`,
      { hints: ['choose another port: --port 0 takes any free one'], cause },
    )
  }
}

/** A whole DHT on one machine: at least four nodes, of which the first is the bootstrap node. */
export async function runLocalDht(
  where: HostPort = { host: '127.0.0.1', port: 0 },
  size = MIN_NODES + 1,
): Promise<BootstrapNode> {
  const first = await runBootstrap(where)
  const others: DHT[] = []
  try {
    for (let i = 1; i < Math.max(size, MIN_NODES); i++) {
      const node = new DHT({
        ephemeral: false,
        firewalled: false,
        bootstrap: [first.address],
        host: where.host,
      })
      others.push(node)
      await node.fullyBootstrapped()
    }
  } catch (error) {
    await Promise.allSettled([...others.map(node => node.destroy()), first.close()])
    throw error
  }
  return {
    address: first.address,
    close: async () => {
      await Promise.allSettled(others.reverse().map(node => node.destroy()))
      await first.close()
    },
  }
}

const freePort = () => 49_152 + Math.floor(Math.random() * 16_000)
