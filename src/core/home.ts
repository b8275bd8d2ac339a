import type { FileEntry, ReleaseRecord, WorkRecord } from '../../schemas/index.ts'
import type { PreparedBundle } from './prepared-bundle.ts'
import type { KeyReference, Reference } from './reference.ts'
import type { ReleaseSource } from './release-source.ts'

/** A release opened from a home's store. */
export interface OpenRelease extends ReleaseSource {
  readonly record: ReleaseRecord
  segment(blake3: string): Promise<string | null>
  /** How many of `files` are in the store with all their bytes. Asks no peer. */
  held(files: readonly FileEntry[]): Promise<number>
  close(): Promise<void>
}

export interface OpenOptions {
  /** `never`: only what is here. `missing`: ask peers only when the release is not here. `newest`: ask peers first. */
  readonly network: 'never' | 'missing' | 'newest'
  readonly signal?: AbortSignal
  /** Records of connecting and finding, while it goes on. */
  readonly onRecord?: (record: WorkRecord) => void
  /** How much of the record history is checked for rewriting: `all` of it, or only where it is cheap (design.md §4). */
  readonly history: 'all' | 'cheap'
}

/** One line of `repro log`. */
export interface ReleaseSummary {
  readonly release: number
  /** The record as it was first written; null when it cannot be read or is no valid record. */
  readonly record: ReleaseRecord | null
  /** Why this release cannot be trusted (rewritten, bad signature), or null. */
  readonly fault: string | null
}

export interface BundleSummary {
  readonly key: string
  readonly name: string | null
  readonly writable: boolean
  readonly releases: number
}

export interface PublishOptions {
  /** The bundle to publish to; null makes a new one. */
  readonly key: string | null
  /**
   * Notes the key of a new bundle, so that a publish that is cut off can be resumed under it: called before anything is
   * stored. When it fails there is no such bundle.
   */
  readonly onKey?: (key: string) => Promise<void>
  readonly tag?: string
  readonly message?: string
  readonly signal?: AbortSignal
  /** The clock, for tests. */
  readonly now?: () => Date
}

export interface PublishResult {
  readonly record: ReleaseRecord
  /** False when the newest release already had this content and no tag was asked for: nothing was written. */
  readonly published: boolean
  readonly storedFiles: number
  readonly storedBytes: number
}

/** Serving to peers, until closed. */
export interface Sharing {
  readonly keys: readonly string[]
  /** Direct TCP address, when one was asked for. */
  readonly listening: { readonly host: string; readonly port: number } | null
  /** Events: peers that come and go, bytes sent. */
  records(signal?: AbortSignal): AsyncIterable<WorkRecord>
  close(): Promise<void>
}

/**
 * A home: the store of bundles and what talks to peers for it. One implementation works in this process;
 * the daemon's client will be a second.
 */
export interface Home {
  /** Turns a name into a key. Throws NOT_FOUND. */
  resolve(ref: Reference): Promise<KeyReference>
  /** Throws NOT_FOUND, NO_PEER, HISTORY_REWRITTEN, SIGNATURE_INVALID, RECORD_INVALID, HASH_MISMATCH. */
  open(ref: KeyReference, options: OpenOptions): Promise<OpenRelease>
  log(ref: KeyReference, options: OpenOptions): Promise<ReleaseSummary[]>
  list(): Promise<BundleSummary[]>
  /** Stores a prepared bundle in the atomic order of design.md §4. The last record carries a PublishResult in `data`. */
  publish(
    bundle: PreparedBundle,
    options: PublishOptions,
  ): AsyncGenerator<WorkRecord, PublishResult>
  share(refs: readonly KeyReference[], signal?: AbortSignal): Promise<Sharing>
  close(): Promise<void>
}
