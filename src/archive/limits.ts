/** How much of what a stranger wrote is read at most, before it is refused unread. */
export const MAX_MANIFEST_BYTES = 16 << 20
export const MAX_RECORD_BYTES = 64 << 10
/** `checkout.json` of a part names each path of it. */
export const MAX_CHECKOUT_BYTES = 64 << 20
export const MAX_SEGMENT_BYTES = 4 << 20
/** Releases a bundle may have; a list that is longer is refused. */
export const MAX_RELEASES = 100_000
/** Blocks of a drive's history that are looked at even when only cheap checks are asked for. */
export const CHEAP_HISTORY_BLOCKS = 2048

/** Blocks are appended in groups of at most about this size. */
export const GROUP_BYTES = 16 << 20
