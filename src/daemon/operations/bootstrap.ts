import type { WorkRecord } from '../../../schemas/index.ts'
import { formatHostPort } from '../../core/host-port.ts'
import type { HostPort } from '../../core/settings.ts'
import { waitForAbort } from '../wait-for-abort.ts'

export interface BootstrapOptions extends HostPort {
  /** How many DHT nodes to run; the first is the bootstrap node. A DHT of fewer than four connects slowly. */
  readonly nodes: number
  readonly signal: AbortSignal
}

/**
 * Runs a DHT bootstrap node until `signal` is aborted. An `entry` record names its address as soon as it answers.
 * Throws USAGE, LISTEN_FAILED.
 */
export async function* bootstrap(options: BootstrapOptions): AsyncGenerator<WorkRecord, HostPort> {
  const { host, port, nodes, signal } = options
  const where = { host, port }
  const { runBootstrap, runLocalDht } = await import('../../network/bootstrap.ts')
  const node = nodes === 1 ? await runBootstrap(where) : await runLocalDht(where, nodes)
  try {
    yield {
      action: 'entry',
      subject: formatHostPort(node.address),
      hints: [`REPRO_BOOTSTRAP=${formatHostPort(node.address)}`],
    }
    await waitForAbort(signal)
  } finally {
    await node.close()
  }
  return node.address
}
