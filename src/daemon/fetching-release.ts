import type {
  FileEntry,
  IndexEntry,
  Manifest,
  ReleaseRecord,
  WorkRecord,
} from '../../schemas/index.ts'
import { ReproError } from '../core/errors.ts'
import type { OpenRelease } from '../core/home.ts'
import type { ReleaseIdentity } from '../core/release-source.ts'
import { count, formatBytes } from '../core/text.ts'
import type { Network } from '../network/network.ts'

/** The same release, read with peers at hand. */
export interface Remote {
  readonly network: Network
  readonly release: OpenRelease
}

/**
 * A release of the store that asks peers only when something turns out not to be here: until then no
 * connection is opened.
 */
export class FetchingRelease implements OpenRelease {
  readonly #local: OpenRelease
  readonly #connect: () => Promise<Remote>
  readonly #onClose: () => void
  #remote: Promise<Remote> | null = null

  /**
   * @param local the release, reading only what is here.
   * @param connect gives the release with peers; asked once. It throws NO_PEER when peers may not be asked.
   */
  constructor(local: OpenRelease, connect: () => Promise<Remote>, onClose: () => void) {
    this.#local = local
    this.#connect = connect
    this.#onClose = onClose
  }

  get record(): ReleaseRecord {
    return this.#local.record
  }
  get identity(): ReleaseIdentity {
    return this.#local.identity
  }
  get manifest(): Manifest {
    return this.#local.manifest
  }
  get manifestText(): string {
    return this.#local.manifestText
  }

  async *entries(prefix?: string): AsyncGenerator<IndexEntry> {
    let given = 0
    try {
      for await (const entry of this.#local.entries(prefix)) {
        given++
        yield entry
      }
      return
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    const { network, release } = await this.#withPeers()
    let seen = 0
    for await (const entry of telling(network, this.#local.record.key, release.entries(prefix)))
      if (++seen > given) yield entry
  }

  async *fetch(files: readonly FileEntry[], signal?: AbortSignal): AsyncGenerator<WorkRecord> {
    const local: WorkRecord[] = []
    try {
      for await (const record of this.#local.fetch(files, signal)) local.push(record)
      yield* local
      return
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    const { network, release } = await this.#withPeers()
    const before = network.received
    const events: WorkRecord[] = []
    const stop = network.onRecord(record => events.push(record))
    try {
      for await (const record of telling(network, this.#local.record.key, release.fetch(files, signal))) {
        yield* events.splice(0)
        yield record
      }
      yield* events.splice(0)
    } finally {
      stop()
    }
    yield receivedRecord(network, before)
  }

  async *read(file: FileEntry, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    let given = 0
    try {
      for await (const chunk of this.#local.read(file, signal)) {
        given += chunk.length
        yield chunk
      }
      return
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    const { network, release } = await this.#withPeers()
    let seen = 0
    for await (const chunk of telling(network, this.#local.record.key, release.read(file, signal))) {
      const skip = Math.max(0, given - seen)
      seen += chunk.length
      if (skip < chunk.length) yield chunk.subarray(skip)
    }
  }

  async close(): Promise<void> {
    this.#onClose()
    await this.#local.close()
    const remote = await this.#remote?.catch(() => null)
    await remote?.release.close()
  }

  async #withPeers(): Promise<Remote> {
    this.#remote ??= this.#connect()
    return await this.#remote
  }
}

/** True for what means "not here", and not "nowhere". */
export function isMissing(error: unknown): boolean {
  return error instanceof ReproError && error.code === 'NO_PEER'
}

/** Replaces a bare NO_PEER by one that says what was tried. */
async function* telling<T>(network: Network, key: string, items: AsyncIterable<T>): AsyncGenerator<T> {
  let last = performance.now()
  try {
    for await (const item of items) {
      yield item
      last = performance.now()
    }
  } catch (error) {
    if (!isMissing(error)) throw error
    throw network.noPeer(key, performance.now() - last, error)
  }
}

/** What came from peers, on the wire: `data.receivedBytes` is of this fetch, `data.totalReceivedBytes` since the home was opened. */
function receivedRecord(network: Network, before: number): WorkRecord {
  const { received, sent } = network
  const traffic = network.traffic().filter(peer => peer.received > 0)
  const peers = new Set(traffic.map(({ peer }) => peer)).size
  return {
    action: 'fetch',
    status: 'ok',
    message: `received ${formatBytes(received)} from ${count('peer', peers)}`,
    bytes: received,
    peers,
    data: {
      receivedBytes: received - before,
      totalReceivedBytes: received,
      sentBytes: sent,
      peers: traffic,
    },
  }
}
