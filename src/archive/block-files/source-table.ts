import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import type { Database } from 'hypercore-storage'
import { formatFileState } from '../../system/file-state.ts'
import { parallel } from '../../system/parallel.ts'

/** A file of the author's that blocks point into. */
export interface SourceFile {
  readonly path: string
  readonly state: string
}

/** So many files are made durable at once. */
const SYNCS_AT_ONCE = 8
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const PREFIX = Buffer.from('repro/source/')

/** Which file an in-place pointer means: small records in RocksDB, written before the pointers. */
export class SourceTable {
  readonly #db: Database
  readonly #byId = new Map<number, Promise<SourceFile | null>>()
  #ids: Promise<Map<string, number>> | null = null
  #next = 1
  /** Files that may be in the memory of the kernel alone. */
  #unsynced = new Set<string>()

  constructor(db: Database) {
    this.#db = db
  }

  /** The id of a file in a state; a new one gets its record first. */
  async idOf({ path, state }: SourceFile): Promise<number> {
    this.#ids ??= this.#load()
    const ids = await this.#ids
    const name = `${state} ${path}`
    const known = ids.get(name)
    if (known !== undefined) {
      await this.#byId.get(known)
      return known
    }
    const id = this.#next++
    this.#unsynced.add(path)
    ids.set(name, id)
    const written = this.#put(id, { path, state })
    this.#byId.set(id, written)
    written.catch(() => {
      ids.delete(name)
      this.#byId.delete(id)
    })
    await written
    return id
  }

  async byId(id: number): Promise<SourceFile | null> {
    let source = this.#byId.get(id)
    if (source === undefined) {
      source = this.#db.get(sourceKey(id)).then(parseSource)
      this.#byId.set(id, source)
    }
    return await source
  }

  /** The files that blocks point into since the last call are durable; one that is gone is noticed when it is read. */
  async sync(): Promise<void> {
    const paths = [...this.#unsynced]
    this.#unsynced.clear()
    for await (const _ of parallel(paths, SYNCS_AT_ONCE, syncSource));
  }

  /** The path of a file that is as it was when it was published, else null. */
  async unchanged(id: number): Promise<string | null> {
    const source = await this.byId(id)
    if (source === null) return null
    const stats = await lstat(source.path, { bigint: true }).catch(() => null)
    return stats !== null && formatFileState(stats) === source.state ? source.path : null
  }

  async #put(id: number, source: SourceFile): Promise<SourceFile> {
    const batch = this.#db.write({ autoDestroy: true })
    batch.tryPut(
      sourceKey(id),
      Buffer.from(JSON.stringify({ path: source.path, state: source.state })),
    )
    await batch.flush()
    return source
  }

  async #load(): Promise<Map<string, number>> {
    const ids = new Map<string, number>()
    for await (const { key, value } of sourceRecords(this.#db)) {
      const id = sourceId(key)
      const source = parseSource(value)
      this.#next = Math.max(this.#next, id + 1)
      if (source === null) continue
      ids.set(`${source.state} ${source.path}`, id)
      this.#byId.set(id, Promise.resolve(source))
    }
    return ids
  }
}

async function syncSource(path: string): Promise<void> {
  const handle = await open(path, FLAGS).catch(() => null)
  try {
    await handle?.datasync()
  } finally {
    await handle?.close()
  }
}

export function sourceRecords(db: Database): AsyncIterable<{ key: Buffer; value: Buffer }> {
  return db.iterator({ gte: sourceKey(0), lt: sourceKey(0xffffffff) })
}

export function sourceKey(id: number): Buffer {
  const key = Buffer.alloc(PREFIX.length + 4)
  key.set(PREFIX)
  key.writeUInt32BE(id, PREFIX.length)
  return key
}

export function sourceId(key: Buffer): number {
  return key.readUInt32BE(PREFIX.length)
}

function parseSource(value: Buffer | null): SourceFile | null {
  if (value === null) return null
  const { path, state } = JSON.parse(value.toString()) as Partial<SourceFile>
  return typeof path === 'string' && typeof state === 'string' ? { path, state } : null
}
