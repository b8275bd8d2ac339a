import type { WorkRecord } from '../../schemas/index.ts'
import type { IngestedFile, PublishResult, PublishSession } from '../core/home.ts'
import type { PreparedBundle } from '../core/prepared-bundle.ts'
import type { SourceFile } from '../core/source-file.ts'
import {
  beginPublish,
  type PublishHost,
  type PublishWork,
  type SessionOptions,
} from './begin-publish.ts'
import { publishRelease } from './publish.ts'
import { storeError } from './store-errors.ts'

/** A publish to a bundle of the store, from the first byte to the record. */
export class StoreSession implements PublishSession {
  readonly key: string
  readonly #work: PublishWork
  readonly #unlock: () => void
  #closed: Promise<void> | null = null

  private constructor(work: PublishWork, unlock: () => void) {
    this.key = work.host.bundle.key
    this.#work = work
    this.#unlock = unlock
  }

  /** Begins; `unlock` lets the next publish of the bundle begin, and is called when this one is closed. */
  static async start(
    host: PublishHost,
    options: SessionOptions,
    unlock: () => void,
  ): Promise<StoreSession> {
    return new StoreSession(await beginPublish(host, options), unlock)
  }

  async *ingest(
    files: readonly SourceFile[],
    signal = this.#work.options.signal,
  ): AsyncGenerator<WorkRecord, readonly IngestedFile[]> {
    try {
      return yield* this.#work.contents.ingest(files, signal)
    } catch (error) {
      throw this.#explain(error)
    }
  }

  async *publish(prepared: PreparedBundle): AsyncGenerator<WorkRecord, PublishResult> {
    try {
      return yield* publishRelease(this.#work, prepared)
    } catch (error) {
      throw this.#explain(error)
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#work.contents.close().finally(this.#unlock)
    return this.#closed
  }

  #explain(error: unknown): unknown {
    const { key, folder } = this.#work.host.bundle
    return storeError(error, key, folder)
  }
}
