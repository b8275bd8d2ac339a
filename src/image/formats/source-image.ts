import type { ResolvedImage } from '../../../schemas/index.ts'
import type { Digest } from '../../core/digest.ts'

export type OriginKind = ResolvedImage['origin']['kind']

/** One layer as a source has it. */
export interface SourceLayer {
  /** How messages name it. */
  readonly name: string
  /** SHA-256 and size of the bytes of `open`, where the source states them. */
  readonly stored: { readonly digest: Digest; readonly size: number } | null
  /** The bytes as they are stored: a tar, or a tar in gzip. */
  open(): AsyncIterable<Uint8Array>
}

/** An image as read from one of the formats, before it is made into our layout. */
export interface SourceImage {
  readonly kind: OriginKind
  /** Digest of the OCI manifest the source has, when it has one. */
  readonly digest: Digest | null
  /** The exact bytes of its configuration; null for a plain rootfs, which has none. */
  readonly config: Buffer | null
  readonly layers: readonly SourceLayer[]
  /** What was chosen where there was a choice, for people. */
  readonly chosen: string | null
  close(): Promise<void>
}
