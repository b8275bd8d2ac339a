export interface LeafRequest {
  /** Its number. */
  readonly leaves: number
  readonly slab: ArrayBuffer
  /** Where blocks begin and end. */
  readonly ranges: readonly number[]
}

/** What a thread posts about blocks it has hashed. */
export interface LeafAnswer {
  readonly type: 'leaves'
  readonly id: number
  readonly slab: ArrayBuffer
  /** 32 bytes each, in the order of the ranges. */
  readonly digests: Uint8Array
}
