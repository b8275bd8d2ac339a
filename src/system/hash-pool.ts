import type { HashedFile } from './hash-file.ts'
import { IngestPool, type SourceFile } from './ingest-pool.ts'

interface Waiting extends SourceFile {
  resolve(file: HashedFile): void
  reject(error: unknown): void
}

/**
 * Hashes files one by one, as they are asked for, over an IngestPool: what is asked for in one turn of the event loop is
 * one job. Who has a list at hand uses an IngestPool. Close it when done.
 */
export class HashPool {
  readonly #pool: IngestPool
  #waiting: Waiting[] = []

  constructor(expectedBytes: number, expectedFiles: number) {
    this.#pool = new IngestPool({ expectedBytes, expectedFiles, bytes: false })
  }

  /** How many files are worth having under way at once. */
  readonly width = 64

  /** As `hashFile`. */
  async hash(path: string, signal?: AbortSignal): Promise<HashedFile> {
    signal?.throwIfAborted()
    return await new Promise<HashedFile>((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => void this.#flush())
      this.#waiting.push({ path, absolute: path, size: 0, state: '', resolve, reject })
    })
  }

  async close(): Promise<void> {
    await this.#pool.close()
  }

  async #flush(): Promise<void> {
    const files = this.#waiting
    this.#waiting = []
    try {
      for await (const event of this.#pool.run(files))
        if (event.type === 'files')
          for (const { index, hashed } of event.files) files[index]!.resolve(hashed)
        else if (event.type === 'fault') files[event.index]!.reject(event.error)
    } catch (error) {
      for (const file of files) file.reject(error)
    }
  }
}
