import { ReproError } from '../core/errors.ts'
import { count } from '../core/text.ts'

/** Why the newest state of an own bundle must be asked for before anything is written to it. */
export type SyncReason = 'imported' | 'machine-stopped' | 'store-behind'

/** What peers had of an own bundle. */
export interface CaughtUp {
  /** Peers that told how much they have. */
  readonly peers: number
  /** Blocks of the tree and of the bytes that were not here. */
  readonly gained: number
}

/** What happened, for people. */
export function describeReason(reason: SyncReason): string {
  switch (reason) {
    case 'imported':
      return 'its key or its store was brought here from elsewhere'
    case 'machine-stopped':
      return 'the machine stopped while it was being written'
    case 'store-behind':
      return 'the store is older than what this home published before'
  }
}

/** A note that something was taken over from peers, or that nothing newer was found. */
export function describeCaughtUp({ peers, gained }: CaughtUp): string {
  return gained > 0
    ? `took over ${count('block', gained)} that ${count('peer', peers)} had and this store had not`
    : `${count('peer', peers)} had nothing newer`
}

/** SYNC_NEEDED: writing now could fork the bundle. */
export function syncNeeded(key: string, reason: SyncReason): ReproError {
  return new ReproError(
    'SYNC_NEEDED',
    `"${key}" cannot be written yet: ${describeReason(reason)}, and no peer has told how far its history goes`,
    {
      hints: [
        'publish again while a peer shares the bundle; give its address with REPRO_PEERS=host:port',
        'only if you are certain that nobody has anything newer: repro publish --unsynced',
      ],
      data: { key, reason },
    },
  )
}
