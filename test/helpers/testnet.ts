import { formatHostPort } from '../../src/core/host-port.ts'
import type { HostPort } from '../../src/core/settings.ts'
import { runLocalDht } from '../../src/network/bootstrap.ts'

/** A DHT of the test's own on 127.0.0.1. Start one for each test file: peers that were killed stay in it. */
export interface Testnet {
  readonly bootstrap: readonly HostPort[]
  /** For `--bootstrap` and REPRO_BOOTSTRAP. */
  readonly text: string
  close(): Promise<void>
}

export async function startTestnet(): Promise<Testnet> {
  const dht = await runLocalDht()
  return { bootstrap: [dht.address], text: formatHostPort(dht.address), close: dht.close }
}
