import type { FileEntry, ReleaseRecord, WorkRecord } from '../../schemas/index.ts'
import type { PreparedBundle } from './prepared-bundle.ts'
import type { KeyReference, Reference } from './reference.ts'
import type { ReleaseSource } from './release-source.ts'
import type { SourceFile } from './source-file.ts'

export type { SourceFile } from './source-file.ts'

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
  /** The newest release of the bundle that the caller knows of: a store that has less has lost something. */
  readonly released?: number
  /** Writes although peers may have something newer of a bundle whose key was imported or whose store lost something. */
  readonly unsynced?: boolean
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

/** What became of a file that was ingested: its hash and its state while it was read, or why it could not be read. */
export type IngestedFile =
  | {
      readonly path: string
      /** 64 hex digits. */
      readonly blake3: string
      readonly size: number
      readonly executable: boolean
      readonly state: string
      readonly error?: undefined
    }
  | { readonly path: string; readonly error: unknown }

export interface StartPublishOptions extends PublishOptions {
  /** Points into the author's own files instead of copying their large blocks (`publish --in-place`). */
  readonly inPlace?: boolean
  /** Reads each stored block that is published again, and stores anew what the disk damaged (`publish --rehash`). */
  readonly rehash?: boolean
}

/**
 * One publish under way, from the first byte read to the record. It holds the bundle's publishing lock until closed.
 * Closed or killed before `publish` ends, it leaves the old releases alone; what it stored is found again by the next.
 */
export interface PublishSession {
  readonly key: string
  /**
   * Reads files once, hashing and storing them in the same pass. Yields `progress` records of subject `store` in bytes and files;
   * returns one result a file, in order of `files`: a file that cannot be read or changes is a result with `error`, and the
   * others go on. May be called several times. Throws DISK_FULL, INTERRUPTED.
   */
  ingest(
    files: readonly SourceFile[],
    signal?: AbortSignal,
  ): AsyncGenerator<WorkRecord, readonly IngestedFile[]>
  /**
   * Makes the release: stores what `ingest` has not stored (files whose hash was known, images, manifest, index), then the
   * tree, then the record. Throws SOURCE_CHANGED, TAG_TAKEN, DISK_FULL, INTERRUPTED.
   */
  publish(prepared: PreparedBundle): AsyncGenerator<WorkRecord, PublishResult>
  /** Ends the session and lets the next one begin. May be called twice. */
  close(): Promise<void>
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
  /**
   * Begins a publish: waits for one of the same bundle that is under way, makes the key of a new bundle, and refuses early
   * what would be refused late. Asks peers first where writing at once could give the bundle a second history.
   * Throws KEY_NOT_WRITABLE, SYNC_NEEDED, TAG_TAKEN, HISTORY_REWRITTEN, INTERRUPTED.
   */
  startPublish(options: StartPublishOptions): Promise<PublishSession>
  /**
   * The short form for a bundle that is prepared already: `startPublish`, `publish`, `close`.
   * The last record carries a PublishResult in `data`.
   */
  publish(
    bundle: PreparedBundle,
    options: PublishOptions,
  ): AsyncGenerator<WorkRecord, PublishResult>
  share(refs: readonly KeyReference[], signal?: AbortSignal): Promise<Sharing>
  close(): Promise<void>
}
