import type { WorkRecord } from '../../schemas/index.ts'
import type {
  IngestedFile,
  PublishResult,
  PublishSession,
  SourceFile,
  StartPublishOptions,
} from '../core/home.ts'
import type { PreparedBundle } from '../core/prepared-bundle.ts'
import { hashFile } from '../system/hash-file.ts'
import { assertTagFree, type PublishHost, publishRelease } from './publish.ts'

const PROGRESS_MS = 200

/** A publish to a bundle of the store, from the first byte to the record. */
export class StoreSession implements PublishSession {
  readonly key: string
  readonly #host: PublishHost
  readonly #options: Omit<StartPublishOptions, 'key' | 'onKey'>
  readonly #end: () => void

  private constructor(
    host: PublishHost,
    options: Omit<StartPublishOptions, 'key' | 'onKey'>,
    end: () => void,
  ) {
    this.key = host.bundle.key
    this.#host = host
    this.#options = options
    this.#end = end
  }

  /** Begins; `end` lets the next publish of the bundle begin. */
  static async start(
    host: PublishHost,
    options: Omit<StartPublishOptions, 'key' | 'onKey'>,
    end: () => void,
  ): Promise<StoreSession> {
    await assertTagFree(host, options.tag)
    return new StoreSession(host, options, end)
  }

  async *ingest(
    files: readonly SourceFile[],
    signal = this.#options.signal,
  ): AsyncGenerator<WorkRecord, readonly IngestedFile[]> {
    const totalBytes = files.reduce((sum, file) => sum + file.size, 0)
    const totals = { totalBytes, totalFiles: files.length }
    const results: IngestedFile[] = []
    let bytes = 0
    let shown = 0
    for (const { path, absolute, size } of files) {
      signal?.throwIfAborted()
      results.push(
        await hashFile(absolute, signal).then(
          hashed => ({ path, ...hashed }),
          (error: unknown) => ({ path, error }),
        ),
      )
      bytes += size
      if (Date.now() - shown < PROGRESS_MS) continue
      shown = Date.now()
      yield { action: 'progress', subject: 'store', bytes, files: results.length, ...totals }
    }
    return results
  }

  async *publish(prepared: PreparedBundle): AsyncGenerator<WorkRecord, PublishResult> {
    return yield* publishRelease(this.#host, prepared, this.#options)
  }

  async close(): Promise<void> {
    this.#end()
  }
}
