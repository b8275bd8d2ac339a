/** The calls of Holepunch's untyped packages that this room uses, and no others. */

declare module 'hypercore' {
  import type { EventEmitter } from 'node:events'

  export interface KeyPair {
    readonly publicKey: Buffer
    readonly secretKey: Buffer
  }
  export interface CorePeer {
    readonly remotePublicKey: Buffer | null
    /** Requests that were sent to it and not answered yet. */
    readonly inflight: number
    /** What it said it has; 0 before it said anything. */
    readonly remoteLength: number
    readonly remoteSynced: boolean
    /** Which blocks it says to have: all below this length, and those of the field. */
    readonly remoteContiguousLength: number
    readonly remoteBitfield: { get(index: number): boolean }
    readonly stream: { destroy(error?: Error): void }
  }
  export interface CoreDownload {
    done(): Promise<unknown>
    destroy(): void
  }
  export interface GetOptions {
    readonly wait?: boolean
    readonly timeout?: number
    /** As stored, not decrypted. */
    readonly raw?: boolean
  }
  export default class Hypercore extends EventEmitter {
    static key(manifest: unknown): Buffer
    readonly key: Buffer
    readonly discoveryKey: Buffer
    readonly manifest: unknown
    readonly length: number
    readonly byteLength: number
    readonly fork: number
    readonly writable: boolean
    readonly peers: readonly CorePeer[]
    ready(): Promise<void>
    close(): Promise<void>
    update(options?: { wait?: boolean; force?: boolean }): Promise<boolean>
    get(index: number, options?: GetOptions): Promise<Buffer | null>
    has(start: number, end?: number): Promise<boolean>
    append(blocks: readonly Uint8Array[]): Promise<{ length: number; byteLength: number }>
    clear(start: number, end: number): Promise<unknown>
    download(range: { start: number; end: number; linear?: boolean }): CoreDownload
    treeHash(length?: number): Promise<Buffer>
    /** Which blocks are here. Both give -1 when there is none. */
    readonly core: {
      readonly bitfield: {
        get(index: number): boolean
        firstSet(from: number): number
        firstUnset(from: number): number
      }
    }
    /** Nodes of the signed tree, by their number in the flat tree. */
    readonly state: {
      readonly roots: readonly { readonly index: number; readonly size: number }[]
      readonly storage: {
        readonly db: unknown
        readonly core: { readonly corePointer: number; readonly dataPointer: number }
        read(): {
          getTreeNode(index: number): Promise<{ size: number; hash: Buffer } | null>
          tryFlush(): void
        }
      }
    }
  }
}

declare module 'hypercore/lib/merkle-tree.js' {
  const file: {
    readonly MerkleTree: {
      /** Throws INVALID_OPERATION where a root is not here. */
      getRootsFromStorage(
        storage: unknown,
        length: number,
      ): Promise<{ readonly size: number; readonly hash: Buffer }[]>
      verifyFullyRemote(state: unknown, proof: unknown): unknown
    }
  }
  export default file
}

declare module 'hyperbee' {
  import type Hypercore from 'hypercore'
  import type { GetOptions } from 'hypercore'

  export interface HistoryItem {
    readonly type: 'put' | 'del'
    readonly seq: number
    readonly key: string
    readonly value: unknown
  }
  export default class Hyperbee {
    constructor(core: Hypercore, options?: Record<string, unknown>)
    readonly core: Hypercore
    readonly version: number
    ready(): Promise<void>
    close(): Promise<void>
    /** Keeps others from writing until what it gives is called. */
    readonly lock: () => Promise<() => void>
    createHistoryStream(
      options: { gte?: number; lt?: number } & GetOptions,
    ): AsyncIterable<HistoryItem>
  }
}

declare module 'hyperbee/lib/messages.js' {
  namespace messages {
    interface Level {
      readonly keys: readonly number[]
      /** Two numbers for each: block and place of the node there. */
      readonly children: readonly number[]
    }
    interface BeeNode {
      readonly key: Buffer
      readonly value: Buffer | null
      readonly index: Buffer
    }
    const Node: { encode(node: BeeNode): Buffer; decode(bytes: Buffer): BeeNode }
    const YoloIndex: {
      encode(index: { readonly levels: readonly Level[] }): Buffer
      decode(bytes: Buffer): { readonly levels: readonly Level[] }
    }
  }
  export default messages
}

declare module 'hyperdrive' {
  import type { EventEmitter } from 'node:events'
  import type Corestore from 'corestore'
  import type Hyperbee from 'hyperbee'
  import type Hypercore from 'hypercore'
  import type { GetOptions } from 'hypercore'

  export interface DriveNode {
    readonly seq: number
    readonly key: string
    readonly value: unknown
  }
  export interface DriveBlob {
    readonly blockOffset: number
    readonly blockLength: number
    readonly byteOffset: number
    readonly byteLength: number
    readonly blockMap?: boolean
  }
  export interface Blobs {
    readonly core: Hypercore
  }
  export default class Hyperdrive extends EventEmitter {
    constructor(store: Corestore, key?: Buffer | null, options?: Record<string, unknown>)
    readonly key: Buffer
    readonly discoveryKey: Buffer
    readonly version: number
    readonly writable: boolean
    readonly core: Hypercore
    readonly db: Hyperbee
    readonly blobs: Blobs | null
    ready(): Promise<void>
    close(): Promise<void>
    getBlobs(): Promise<Blobs | null>
    checkout(version: number): Hyperdrive
    batch(): Hyperdrive
    flush(): Promise<void>
    entry(path: string, options?: GetOptions): Promise<DriveNode | null>
    entries(
      range?: { gt?: string; gte?: string; lt?: string; lte?: string },
      options?: GetOptions,
    ): AsyncIterable<DriveNode>
    putEntry(
      path: string,
      value: {
        executable?: boolean
        linkname?: string | null
        blob?: DriveBlob | null
        metadata?: unknown
      },
    ): Promise<void>
    del(path: string): Promise<void>
    put(
      path: string,
      bytes: Uint8Array,
      options?: { executable?: boolean; metadata?: unknown },
    ): Promise<void>
    get(path: string, options?: GetOptions): Promise<Buffer | null>
    list(folder?: string): AsyncIterable<DriveNode>
    symlink(path: string, target: string): Promise<void>
    truncate(version: number): Promise<void>
  }
}

declare module 'corestore' {
  import type { Duplex } from 'node:stream'
  import type Hypercore from 'hypercore'
  import type CorestoreStorage from 'hypercore-storage'
  import type { HypercoreStorage } from 'hypercore-storage'

  export interface OpenCore {
    readonly state: { readonly storage: HypercoreStorage } | null
    readonly header: { readonly hints: { readonly contiguousLength: number } }
    readonly replicator: {
      readonly peers: readonly {
        readonly wireRange: {
          send(range: { drop: boolean; start: number; length: number }): void
        }
      }[]
    }
  }
  export default class Corestore {
    constructor(storage: string | CorestoreStorage, options?: Record<string, unknown>)
    readonly storage: CorestoreStorage
    /** Cores that are open, by discovery key; `state` is null until one is ready. */
    readonly cores: { readonly map: ReadonlyMap<string, OpenCore> }
    ready(): Promise<void>
    close(): Promise<void>
    get(options: Record<string, unknown>): Hypercore
    session(): Corestore
    replicate(connection: Duplex | boolean, options?: Record<string, unknown>): Duplex
    findingPeers(): () => void
    /** Gives each core to `listener` when it is made. */
    watch(listener: (core: object) => void): void
  }
}

declare module 'hypercore-crypto' {
  const crypto: {
    /** The hash of a block as a leaf of the tree. */
    data(bytes: Buffer): Buffer
  }
  export default crypto
}
