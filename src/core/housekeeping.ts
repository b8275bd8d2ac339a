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
  /** Bytes of the blocks that the store holds, the drive's own records included. */
  readonly storedBytes: number
  /** Bytes of the blocks that are served from the author's own files, and are not in the store. */
  readonly inPlaceBytes: number
  /** How much less is stored, or in place, than `contentBytes` because releases and files share blocks. */
  readonly sharedBytes: number
  /** Bytes of stored blocks that no kept release points at: what `prune` clears. */
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
  /** Of blocks in the store. */
  readonly bytes: number
  /** Of blocks in the author's own files: these stay as they are, and are served no more. */
  readonly inPlaceBytes: number
  /** Releases to keep of which not every file is known here: while there are any, nothing is dropped. */
  readonly unlisted: readonly number[]
}

/** One thing that was damaged: a file of the release, or the drive's own records. */
export interface Repair {
  readonly what: string
  readonly blocks: number
  readonly repaired: boolean
  /** Why it could not be repaired. */
  readonly message?: string
}
