import type { IndexEntry, WorkRecord } from '../../schemas/index.ts'
import type { ReleaseIdentity, ReleaseSource } from '../core/release-source.ts'

/** What re-hashing found. Nothing is wrong when the three lists are empty. */
export interface VerifyResult {
  readonly identity: ReleaseIdentity
  /** Files that are here and were looked at, and their bytes. */
  readonly files: number
  readonly bytes: number
  /** Files of the whole release: with `partial`, those that are not among `files` and not `missing` are absent by choice. */
  readonly releaseFiles: number
  readonly missing: readonly string[]
  readonly changed: readonly string[]
  readonly extra: readonly string[]
  /** True when only a part of the release is here by choice: that was looked at. In a store, `missing` names the rest. */
  readonly partial: boolean
}

const PROGRESS_MS = 200

/** Counts what was looked at, and tells and lists what is wrong. */
export class Findings {
  readonly #identity: ReleaseIdentity
  readonly #totals: { totalBytes: number; totalFiles: number }
  readonly #lists = { missing: [] as string[], changed: [] as string[], extra: [] as string[] }
  #files = 0
  #bytes = 0
  #shown = Date.now()

  constructor(source: ReleaseSource) {
    const { files, bytes } = source.manifest.index
    this.#identity = source.identity
    this.#totals = { totalBytes: bytes, totalFiles: files }
  }

  start(): WorkRecord {
    return { action: 'verify', status: 'start', ...this.#totals }
  }

  done(): WorkRecord {
    return { action: 'verify', status: 'ok', bytes: this.#bytes, files: this.#files }
  }

  count(entry: IndexEntry): void {
    if (entry.type !== 'file') return
    this.#files++
    this.#bytes += entry.size
  }

  /** Counts files that were found right together. */
  add({ files, bytes }: { readonly files: number; readonly bytes: number }): void {
    this.#files += files
    this.#bytes += bytes
  }

  report(list: 'missing' | 'changed' | 'extra', path: string, message: string): WorkRecord {
    this.#lists[list].push(path)
    return { action: 'verify', status: 'error', subject: path, message, data: { found: list } }
  }

  /** @param more what was looked at, and is not counted yet. */
  *progress(more = { files: 0, bytes: 0 }): Generator<WorkRecord> {
    if (Date.now() - this.#shown < PROGRESS_MS) return
    this.#shown = Date.now()
    const done = { bytes: this.#bytes + more.bytes, files: this.#files + more.files }
    yield { action: 'progress', subject: 'verify', ...done, ...this.#totals }
  }

  /** @param partial whether a part is all that was asked for; else, where nothing but missing files was found. */
  result(partial?: boolean): VerifyResult {
    const { missing, changed, extra } = this.#lists
    const part = missing.length > 0 && changed.length + extra.length === 0
    for (const list of Object.values(this.#lists)) list.sort()
    return {
      identity: this.#identity,
      files: this.#files,
      bytes: this.#bytes,
      releaseFiles: this.#totals.totalFiles,
      ...this.#lists,
      partial: partial ?? part,
    }
  }
}
