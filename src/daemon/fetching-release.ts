import type {
  FileEntry,
  IndexEntry,
  Manifest,
  ReleaseRecord,
  WorkRecord,
} from '../../schemas/index.ts'
import { ReproError } from '../core/errors.ts'
import type { OpenRelease } from '../core/home.ts'
import type { LocatedFile, ReleaseIdentity } from '../core/release-source.ts'
import { count, formatBytes } from '../core/text.ts'
import type { Network } from '../network/network.ts'
import type { Held } from '../network/no-peer.ts'

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
  readonly #asksPeers: boolean
  #remote: Promise<Remote> | null = null

  /**
   * @param first the release, reading only what is here; or `remote.release` when peers are needed anyway.
   * @param connect gives the release with peers; asked once. It throws NO_PEER when peers may not be asked.
   * @param asksPeers whether peers may be asked for what is damaged here; never for a bundle of this home's own.
   */
  constructor(
    first: OpenRelease,
    remote: Remote | null,
    connect: () => Promise<Remote>,
    onClose: () => void,
    asksPeers: boolean,
  ) {
    this.#local = first
    this.#remote = remote ? Promise.resolve(remote) : null
    this.#connect = connect
    this.#onClose = onClose
    this.#asksPeers = asksPeers
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
    yield* this.#resume(
      release => release.entries(prefix),
      () => 1,
      entry => entry,
    )
  }

  async segment(blake3: string): Promise<string | null> {
    const found = this.#resume(
      async function* (release) {
        yield await release.segment(blake3)
      },
      () => 1,
      text => text,
    )
    for await (const text of found) return text
    return null
  }

  async *read(file: FileEntry, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    yield* this.#resume(
      release => release.read(file, signal),
      chunk => chunk.length,
      (chunk, skip) => chunk.subarray(skip),
    )
  }

  async *extents(
    files: readonly FileEntry[],
    signal?: AbortSignal,
  ): AsyncGenerator<readonly LocatedFile[]> {
    const { extents } = this.#local
    if (extents) yield* extents.call(this.#local, files, signal)
    else yield files.map(file => ({ file, extents: null }))
  }

  async *fetch(files: readonly FileEntry[], signal?: AbortSignal): AsyncGenerator<WorkRecord> {
    if (this.#remote === null) {
      const records: WorkRecord[] = []
      try {
        for await (const record of this.#local.fetch(files, signal)) records.push(record)
        yield* records
        return
      } catch (error) {
        if (!isMissing(error) && !this.#canRepair(error)) throw error
      }
    }
    const { network, release } = await this.#withPeers()
    const before = network.received
    const events: WorkRecord[] = []
    const stop = network.onRecord(record => events.push(record))
    const work = telling(network, this.record.key, release.fetch(files, signal), async () => ({
      files: await this.held(files),
      of: files.length,
    }))
    try {
      for await (const record of work) {
        yield* events.splice(0)
        yield record
      }
      yield* events.splice(0)
    } finally {
      stop()
    }
    yield receivedRecord(network, before)
  }

  /** What `read` gives of what is here; where something is missing, peers give the rest. */
  async *#resume<T>(
    read: (release: OpenRelease) => AsyncIterable<T>,
    sizeOf: (item: T) => number,
    cut: (item: T, skip: number) => T,
  ): AsyncGenerator<T> {
    let given = 0
    if (this.#remote === null) {
      try {
        for await (const item of read(this.#local)) {
          given += sizeOf(item)
          yield item
        }
        return
      } catch (error) {
        if (!isMissing(error) && !this.#canRepair(error)) throw error
      }
    }
    const { network, release } = await this.#withPeers()
    let seen = 0
    for await (const item of telling(network, this.record.key, read(release))) {
      const size = sizeOf(item)
      const skip = Math.min(Math.max(0, given - seen), size)
      seen += size
      if (skip < size) yield cut(item, skip)
    }
  }

  async held(files: readonly FileEntry[]): Promise<number> {
    return await this.#local.held(files)
  }

  async close(): Promise<void> {
    this.#onClose()
    await this.#local.close()
    const remote = await this.#remote?.catch(() => null)
    await remote?.release.close()
  }

  /** Bytes that are damaged on disk are as good as missing where peers may be asked for them. */
  #canRepair(error: unknown): boolean {
    return this.#asksPeers && isDamaged(error)
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

/** True for what the disk lost, and peers may still have. */
export function isDamaged(error: unknown): boolean {
  return error instanceof ReproError && error.data['damaged'] === true
}

/** Replaces a bare NO_PEER by one that says what was tried. */
async function* telling<T>(
  network: Network,
  key: string,
  items: AsyncIterable<T>,
  here?: () => Promise<Held>,
): AsyncGenerator<T> {
  let last = performance.now()
  try {
    for await (const item of items) {
      yield item
      last = performance.now()
    }
  } catch (error) {
    if (!isMissing(error)) throw error
    const { waitedMs } = (error as ReproError).data
    const waited = typeof waitedMs === 'number' ? waitedMs : performance.now() - last
    throw network.noPeer(key, waited, { cause: error, ...(here ? { held: await here() } : {}) })
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
