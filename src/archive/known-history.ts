import type { KnownHistory } from '../../schemas/index.ts'
import { readAtLeast } from './own-bundles.ts'
import { readSeen } from './seen.ts'

/**
 * How far the history of an own bundle went, as far as this home remembers: what it saw, and what came with its key.
 * Throws STORE_INVALID.
 */
export async function knownHistory(home: string, key: string): Promise<KnownHistory> {
  const { scanned, releases, bytes = 0 } = await readSeen(home, key)
  const { release, tree, ...other } = (await readAtLeast(home, key)) ?? NOTHING
  return {
    release: Math.max(release, ...releases.map(one => one.release)),
    tree: Math.max(tree, scanned, ...releases.map(one => one.driveVersion + 1)),
    bytes: Math.max(other.bytes, bytes),
  }
}

const NOTHING: KnownHistory = { release: 0, tree: 0, bytes: 0 }
