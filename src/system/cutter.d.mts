/** No block but the last of a file is shorter: a file up to this size is one block. */
export const MIN_BLOCK: number
export const MAX_BLOCK: number
/** Of random bytes: 128 KiB. */
export const AVERAGE_BLOCK: number

/** The first place in [from, to] where a block may end, or -1. */
export type Scan = (bytes: Uint8Array, from: number, to: number) => number

/** The end of the block that begins at `from`. `to` is the end of the data, or at least MAX_BLOCK further. */
export type Cutter = (bytes: Uint8Array, from: number, to: number) => number

export function gearTable(blake3: (bytes: Uint8Array) => Uint8Array): Uint32Array
export function scanPlain(table: Uint32Array): Scan
export function scanWasm(table: Uint32Array): Scan
export function createCutter(scan: Scan): Cutter
