/** No block but the last of a file is shorter: a file up to this size is one block. */
export const MIN_BLOCK: number
export const NORMAL_BLOCK: number
export const MAX_BLOCK: number
export const HARD: number
export const EASY: number
export const WINDOW: number

/** Where a block may end in [from, to], its hash being below `limit`; -1 for nowhere. */
export type Scan = (bytes: Uint8Array, from: number, to: number, limit: number) => number

/** The end of the block that begins at `from`. `to` is the end of the data, or at least MAX_BLOCK further. */
export type Cutter = (bytes: Uint8Array, from: number, to: number) => number

export function gearTable(blake3: (bytes: Uint8Array) => Uint8Array): Uint32Array
export function isZeros(bytes: Uint8Array, from: number, to: number): boolean
export function scanPlain(table: Uint32Array): Scan
export function scanWasm(table: Uint32Array): Scan
export function createCutter(scan: Scan): Cutter
