import type { FileEntry, IndexEntry } from '../../schemas/index.ts'
import type { ReleaseSource } from './release-source.ts'
import type { SourceFile } from './source-file.ts'

/**
 * An author's folder made ready: everything resolved and hashed, nothing stored yet. `publish` stores it;
 * `repro run .` runs it as it is. Its entries are all in memory, sorted by path.
 */
export interface PreparedBundle extends ReleaseSource {
  readonly all: readonly IndexEntry[]
  /** Every index segment by BLAKE3. */
  readonly segments: ReadonlyMap<string, string>
  /** Where the bytes of a file lie on this host: in the author's folder, or in the image cache. */
  locate(file: FileEntry): string
  /** The same with its state as it was when it was hashed: what is stored by its hash must be unchanged since. */
  source(file: FileEntry): SourceFile
}
