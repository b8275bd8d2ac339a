import type { BigIntStats } from 'node:fs'

/**
 * What must be unchanged for a hashed file to count as proven (design.md §4):
 * `dev:ino:size:mtimeNs:ctimeNs`.
 */
export function formatFileState(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`
}
