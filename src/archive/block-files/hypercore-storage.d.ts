/** The inner parts of hypercore-storage 3.3.1 that block files are laid under, and no others. */

declare module 'hypercore-storage/lib/view.js' {
  import type { Database, ReadBatch } from 'hypercore-storage'

  /** A key with the value to put, or null to delete it (up to the third, when that is given). */
  export type Change = [key: Buffer, value: Buffer | null, end: Buffer | null]
  export default class View {
    get(read: ReadBatch, key: Buffer): Promise<Buffer | null>
    static flush(changes: Change[] | null, db: Database): Promise<boolean>
  }
}

declare module 'hypercore-storage/lib/tx.js' {
  import type { Database, ReadBatch } from 'hypercore-storage'
  import type View from 'hypercore-storage/lib/view.js'
  import type { Change } from 'hypercore-storage/lib/view.js'

  export interface CorePointers {
    readonly dataPointer: number
    readonly dependencies: readonly { readonly dataPointer: number; readonly length: number }[]
  }
  export class CoreTX {
    readonly core: CorePointers
    readonly db: Database
    readonly view: View | null
    changes: Change[] | null
    putBlock(index: number, data: Buffer): void
    flush(): Promise<boolean>
  }
  export class CoreRX {
    readonly core: CorePointers
    readonly read: ReadBatch
    readonly view: View
    readonly fork: number
    getBlock(index: number): Promise<Buffer | null>
    tryFlush(): void
  }
}

declare module 'hypercore-storage/lib/keys.js' {
  export const core: {
    data(pointer: number): Buffer
    block(pointer: number, index: number): Buffer
    blockIndex(key: Buffer): number
  }
}

declare module 'hypercore-storage' {
  import type { CorePointers, CoreRX } from 'hypercore-storage/lib/tx.js'

  export interface ReadBatch {
    readonly _db: Database | null
    get(key: Buffer): Promise<Buffer | null>
    tryFlush(): void
    destroy(): void
  }
  export interface WriteBatch {
    tryPut(key: Buffer, value: Buffer): void
    tryDelete(key: Buffer): void
    flush(): Promise<void>
  }
  /** One session of a database; all sessions of it share one `_state`. */
  export interface Database {
    readonly _state: { readonly sessions: readonly { readonly _snapshot: unknown }[] }
    readonly closed: boolean
    get(key: Buffer): Promise<Buffer | null>
    read(options?: { autoDestroy?: boolean }): ReadBatch
    write(options?: { autoDestroy?: boolean }): WriteBatch
    iterator(range: {
      gte?: Buffer
      gt?: Buffer
      lt: Buffer
      capacity?: number
    }): AsyncIterable<{ key: Buffer; value: Buffer }>
    flush(): Promise<void>
    compactRange(
      start: Buffer | null,
      end: Buffer | null,
      options: Record<string, number>,
    ): Promise<void>
  }

  export interface StoredBlock {
    readonly index: number
    value: Buffer
  }
  export interface BlockStream extends AsyncIterable<StoredBlock> {
    readonly _readableState: { map: ((data: { key: Buffer; value: Buffer }) => unknown) | null }
  }
  /** The storage of one session of a core; the class itself is not exported. */
  export interface HypercoreStorage {
    readonly store: CorestoreStorage
    readonly core: CorePointers
    readonly db: Database
    read(fork?: number): CoreRX
    createBlockStream(options?: Record<string, unknown>): BlockStream
  }
  export interface ExportedCore {
    readonly data: readonly { readonly blocks: StoredBlock[] }[]
  }
  /** What the database numbers a core's records by. */
  export interface StoredCore {
    readonly corePointer: number
    readonly dataPointer: number
  }
  export default class CorestoreStorage {
    constructor(folder: string, options?: { readOnly?: boolean; [option: string]: unknown })
    readonly path: string
    readonly readOnly: boolean
    readonly db: Database
    ready(): Promise<void>
    close(): Promise<void>
    flush(): Promise<void>
    _getHead(view: unknown): Promise<{ readonly datas: number }>
    resumeCore(discoveryKey: Buffer): Promise<HypercoreStorage | null>
    createCore(data: unknown): Promise<HypercoreStorage>
    deleteCore(core: StoredCore): Promise<void>
    compact(): Promise<void>
    export(discoveryKey: Buffer, options?: unknown): Promise<ExportedCore | null>
  }
}
