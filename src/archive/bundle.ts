import type { Duplex } from 'node:stream'
import type { WorkRecord } from '../../schemas/index.ts'
import type {
  BundleSummary,
  OpenRelease,
  PublishOptions,
  PublishResult,
  PublishSession,
  ReleaseSummary,
  StartPublishOptions,
} from '../core/home.ts'
import type { PreparedBundle } from '../core/prepared-bundle.ts'
import type { Selection } from '../core/reference.ts'
import type { CaughtUp, SyncReason } from './sync-reason.ts'

/** How long and from where a bundle may be read. */
export interface ReadLimits {
  readonly signal?: AbortSignal
  /**
   * How long nothing may arrive before NO_PEER is thrown, with or without peers connected.
   * 0 reads only what is already here and never waits. Default 20 seconds.
   */
  readonly stallMs?: number
}

export interface HistoryLimits extends ReadLimits {
  /** `all`: the whole record history is scanned for rewriting; `cheap`: only where it costs little. */
  readonly history: 'all' | 'cheap'
}

/** What came from peers since the bundle was opened. */
export interface Received {
  readonly bytes: number
  readonly blocks: number
}

/** A peer that sent bytes which do not fit the signed tree. Its bytes were refused. */
export interface DishonestPeer {
  /** Public key of the peer's end of the connection, hex; null when it is not known. */
  readonly peer: string | null
  readonly message: string
}

/** One bundle of a store: the only way to its Hyperdrive. */
export interface Bundle {
  readonly key: string
  /** The topic under which peers of this bundle meet. */
  readonly discoveryKey: Buffer
  readonly writable: boolean
  /**
   * Asks connected peers for a newer length; true when there is one. Returns false at `timeoutMs` (default 10 s).
   * To wait for peers that are still being looked for, hold `BundleStore.findingPeers()` meanwhile.
   */
  update(options?: { readonly signal?: AbortSignal; readonly timeoutMs?: number }): Promise<boolean>
  /** Every release, oldest first, each with its fault when it cannot be trusted. Throws NO_PEER, INTERRUPTED. */
  releases(options: HistoryLimits): Promise<ReleaseSummary[]>
  /**
   * Opens one release: its record, signature, history and manifest are checked.
   * Throws NOT_FOUND, NO_PEER, RECORD_INVALID, SIGNATURE_INVALID, HISTORY_REWRITTEN, HASH_MISMATCH, FORMAT_UNSUPPORTED.
   */
  openRelease(selection: Selection, options: HistoryLimits): Promise<OpenRelease>
  /**
   * Begins a publish (design.md §4). Publishes of one bundle run one after another: it waits for its turn.
   * A tag that an older release has is refused now. Throws KEY_NOT_WRITABLE, TAG_TAKEN, HISTORY_REWRITTEN, INTERRUPTED.
   */
  startPublish(options: Omit<StartPublishOptions, 'key' | 'onKey'>): Promise<PublishSession>
  /**
   * `startPublish`, `publish` and `close` in one. Stores a prepared bundle in the atomic order of design.md §4. Publishes of one bundle run one after another.
   * Throws KEY_NOT_WRITABLE, TAG_TAKEN, SOURCE_CHANGED, DISK_FULL, INTERRUPTED.
   */
  publish(
    prepared: PreparedBundle,
    options: Omit<PublishOptions, 'key' | 'onKey'>,
  ): AsyncGenerator<WorkRecord, PublishResult>
  /**
   * Why an own bundle may not be written before peers were asked for its newest state; null when nothing speaks against
   * writing, and `released` releases are here. Until `mayWrite` was called, writing throws SYNC_NEEDED.
   */
  unsynced(released?: number): Promise<SyncReason | null>
  /** Whether less is here than this home remembers, than came with its key, or than `released` releases. */
  isBehind(released?: number): Promise<boolean>
  /** Takes over what connected peers have of an own bundle and this store has not. Throws NO_PEER, INTERRUPTED. */
  catchUp(options: { readonly signal?: AbortSignal; readonly timeoutMs: number }): Promise<CaughtUp>
  /** Lets an own bundle be written: it is up to date, or the caller takes the risk. */
  mayWrite(): Promise<void>
  /** How many peers are connected for this bundle now. */
  peers(): number
  received(): Received
  /** Public keys (hex) of connected peers that were asked for something and have not answered yet. */
  owing(): readonly string[]
  /** Calls `listener` for each refused block; returns what takes the listener away. */
  onDishonestPeer(listener: (peer: DishonestPeer) => void): () => void
}

/** Every bundle of a home. One process at a time. */
export interface BundleStore {
  /**
   * A new writable bundle. Its id is durable before its key is known to anyone, and `onKey` is told it before anything
   * can be stored under it; what that throws is thrown, and the bundle is forgotten.
   */
  create(onKey?: (key: string) => Promise<void>): Promise<Bundle>
  /** The bundle of a key, writable when this home made it. The same object for the same key. Throws REFERENCE_INVALID. */
  open(key: string): Promise<Bundle>
  /** Own bundles and those of which a release was seen. Asks no peer. */
  list(): Promise<BundleSummary[]>
  /**
   * Speaks the replication protocol for all open bundles: over a Hyperswarm connection (it is given), or, for `true`
   * (the dialling end) and `false`, as a Noise-encrypted stream to pipe to and from a socket.
   */
  replicate(connection: Duplex | boolean): Duplex
  /** While held, `update` waits for peers still to be found. Returns what ends it. */
  findingPeers(): () => void
  close(): Promise<void>
}
