/** One release of a bundle, and how much of it this home holds. */
export interface ReleaseUsage {
  readonly release: number
  readonly tag: string | null
  /** `whole`: every file is here. `part`: some. `none`: only that it exists is known. */
  readonly held: 'whole' | 'part' | 'none'
  /** Bytes of its files that are here. */
  readonly bytes: number
  /** Whether `prune` keeps it with the settings asked for. */
  readonly kept: boolean
}

/** What a bundle takes. */
export interface BundleUsage {
  readonly key: string
  readonly name: string | null
  readonly writable: boolean
  readonly releases: readonly ReleaseUsage[]
  /** Bytes of all files of all releases that are here, each release counted for itself. */
  readonly contentBytes: number
  /** Bytes of the blocks that are here, the drive's own records included. */
  readonly storedBytes: number
  /** How much less is stored than `contentBytes` because releases and files share blocks. */
  readonly sharedBytes: number
  /** Bytes of blocks that no kept release points at: what `prune` clears. */
  readonly reclaimableBytes: number
}

/** Which releases `prune` keeps besides the pinned ones. */
export interface KeepRule {
  /** The newest so many; of a bundle of this home's own at least one. */
  readonly last: number
  readonly pinned: readonly number[]
}

/** What a bundle's releases lose, or lost, by `prune`. */
export interface Dropped {
  readonly key: string
  readonly name: string | null
  readonly writable: boolean
  /** Releases that are (partly) here and not kept. */
  readonly releases: readonly number[]
  readonly bytes: number
}

/** One thing that was damaged: a file of the release, or the drive's own records. */
export interface Repair {
  readonly what: string
  readonly blocks: number
  readonly repaired: boolean
  /** Why it could not be repaired. */
  readonly message?: string
}
