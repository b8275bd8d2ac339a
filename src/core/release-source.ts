import type { FileEntry, IndexEntry, Manifest, WorkRecord } from '../../schemas/index.ts'

/** A run of a file's bytes: in a file of this host, or at hand. */
export type Extent =
  | { readonly path: string; readonly offset: number; readonly length: number }
  | { readonly bytes: Uint8Array }

/** Where the bytes of a file lie on this host, in order; null when only `read` can give them. */
export interface LocatedFile {
  readonly file: FileEntry
  readonly extents: readonly Extent[] | null
}

/** Which release this is. A folder that is not published yet has neither key nor release. */
export interface ReleaseIdentity {
  readonly key: string | null
  readonly release: number | null
  readonly tag: string | null
  /** `blake3:<hex>` over the canonical manifest. */
  readonly contentHash: string
  /** ISO 8601; checkouts get it as their files' time. */
  readonly date: string | null
}

/**
 * One release, wherever its bytes lie: in a store, in an author's folder, in a checked-out copy.
 * `run`, `get`, `ls` and `cat` work on this and know nothing of Hyperdrives.
 */
export interface ReleaseSource {
  readonly identity: ReleaseIdentity
  /** Already checked against the content hash. */
  readonly manifest: Manifest
  /** The exact bytes the content hash is over. */
  readonly manifestText: string
  /** The index in order, each segment checked against its BLAKE3; `prefix` skips segments that cannot hold it. */
  entries(prefix?: string): AsyncIterable<IndexEntry>
  /** The text of an index segment, not yet checked; null when it is not there. `diff` skips what two releases share. */
  segment?(blake3: string): Promise<string | null>
  /**
   * Brings the bytes of `files` within reach (from peers, where needed), resuming what is partly there.
   * Throws NO_PEER, PEER_DISHONEST, INTERRUPTED.
   */
  fetch(files: readonly FileEntry[], signal?: AbortSignal): AsyncIterable<WorkRecord>
  /** The bytes of a file. NOT yet checked: whoever keeps or executes them hashes them (`TreeWriter`). */
  read(file: FileEntry, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /**
   * Where the bytes of many files lie, each file once, in the order in which they are read fastest. Asks no peer. As
   * with `read` nothing is checked; whoever finds other bytes than expected there asks `read`, which repairs or explains.
   */
  extents?(files: readonly FileEntry[], signal?: AbortSignal): AsyncIterable<readonly LocatedFile[]>
}
