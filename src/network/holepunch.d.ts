/** The calls of Holepunch's untyped packages that this room uses, and no others. */

declare module '@hyperswarm/secret-stream' {
  import type { Duplex } from 'node:stream'

  export interface NoiseKeyPair {
    readonly publicKey: Buffer
    readonly secretKey: Buffer
  }
  /** A Noise-encrypted stream; it wakes up by itself when given a raw stream. */
  interface NoiseSecretStream extends Duplex {
    /** Settles when the handshake is done (true) or the stream was closed before (false). */
    readonly opened: Promise<boolean>
    readonly remotePublicKey: Buffer | null
    /** Bytes on the wire, encrypted, without those of the transport itself. */
    readonly rawBytesRead: number
    readonly rawBytesWritten: number
    readonly rawStream: { readonly remoteHost?: string; readonly remotePort?: number } | null
    setTimeout(ms: number): void
    setKeepAlive(ms: number): void
  }
  const NoiseSecretStream: {
    new (
      isInitiator: boolean,
      rawStream: Duplex,
      options: { readonly keyPair: NoiseKeyPair },
    ): NoiseSecretStream
    keyPair(seed: Uint8Array): NoiseKeyPair
  }
  export default NoiseSecretStream
}

declare module 'hyperdht' {
  export interface DhtOptions {
    readonly bootstrap?: readonly { readonly host: string; readonly port: number }[]
    readonly host?: string
    readonly port?: number
    readonly anyPort?: boolean
    readonly ephemeral?: boolean
    readonly firewalled?: boolean
  }
  export default class DHT {
    constructor(options?: DhtOptions)
    static bootstrapper(port: number, host: string, options?: DhtOptions): DHT
    readonly host: string | null
    fullyBootstrapped(): Promise<void>
    address(): { readonly host: string; readonly port: number } | null
    /** The nodes that are known to answer. */
    toArray(options?: { readonly limit?: number }): readonly { host: string; port: number }[]
    destroy(options?: { readonly force?: boolean }): Promise<void>
  }
}

declare module 'hyperswarm' {
  import type { EventEmitter } from 'node:events'
  import type NoiseSecretStream from '@hyperswarm/secret-stream'
  import type { NoiseKeyPair } from '@hyperswarm/secret-stream'
  import type DHT from 'hyperdht'

  export interface DiscoverySession {
    /** Settles when the topic was announced, or looked up, once. */
    flushed(): Promise<boolean>
    refresh(options?: { readonly client?: boolean; readonly server?: boolean }): Promise<boolean>
    destroy(): Promise<void>
  }
  export default class Hyperswarm extends EventEmitter {
    constructor(options: {
      readonly dht: DHT
      readonly keyPair: NoiseKeyPair
      /** True refuses the peer. */
      readonly firewall?: (remotePublicKey: Buffer) => boolean
    })
    join(
      topic: Buffer,
      options: { readonly client: boolean; readonly server: boolean },
    ): DiscoverySession
    destroy(options?: { readonly force?: boolean }): Promise<void>
    on(event: 'connection', listener: (stream: NoiseSecretStream) => void): this
  }
}
