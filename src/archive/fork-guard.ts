import type Hypercore from 'hypercore'
import MerkleTreeFile from 'hypercore/lib/merkle-tree.js'

/** Another history that the holder of a core's key signed. */
export interface FoundFork {
  /** Its fork number: that of the history here, when two places wrote under one key. */
  readonly fork: number
  readonly length: number
  /** How many blocks it shares with the history here, at least; null when that is not known. */
  readonly shared: number | null
}

interface TreeNode {
  readonly size: number
  readonly hash: Buffer
}

interface Proof {
  readonly fork: number
  readonly upgrade: { readonly length: number; readonly nodes: readonly TreeNode[] }
  readonly manifest: unknown
}

interface ReorgBatch {
  readonly fork: number
  readonly length: number
  readonly ancestors: number
  commitable(): boolean
}

/** The Core behind all sessions of one Hypercore, as Corestore's watchers are given it. */
export interface WatchedCore {
  readonly _repairMode: boolean
  readonly storage: unknown
  readonly state: { readonly fork: number; readonly length: number; readonly storage: unknown }
  readonly header: { readonly manifest: unknown }
  readonly replicator: { allowFork: boolean; onconflict(): Promise<void> }
  reorg(batch: ReorgBatch): Promise<boolean>
  checkConflict(proof: Proof, from: unknown): Promise<boolean>
  _verifyBatchUpgrade(batch: unknown, manifest: unknown): unknown
}

interface Watch {
  found: FoundFork | null
  readonly listeners: Set<(fork: FoundFork) => void>
}

const watches = new WeakMap<object, Watch>()
const { MerkleTree } = MerkleTreeFile

/**
 * Keeps what is here when a core's owner rewrote history. Hypercore itself follows the higher fork, dropping blocks that
 * were verified before, and closes a core for which two histories were signed (and prints to stdout). A core of which
 * nothing is here yet is followed, so that what is wrong with it can be shown.
 */
export function guardCore(core: WatchedCore): void {
  const watch: Watch = { found: null, listeners: new Set() }
  watches.set(core, watch)
  const tell = (fork: FoundFork) => {
    watch.found = fork
    for (const listener of watch.listeners) listener(fork)
  }
  const { reorg, checkConflict } = core
  core.reorg = async batch => {
    if (core.state.length === 0) return await reorg.call(core, batch)
    if (!batch.commitable()) return false
    core.replicator.allowFork = false
    tell({ fork: batch.fork, length: batch.length, shared: batch.ancestors })
    return false
  }
  core.checkConflict = async (proof, from) => {
    if (core._repairMode) return await checkConflict.call(core, proof, from)
    const { length, nodes } = proof.upgrade
    const { state } = core
    if (state.length < length || proof.fork !== state.fork || !core.header.manifest) return false
    try {
      core._verifyBatchUpgrade(MerkleTree.verifyFullyRemote(state, proof), proof.manifest)
    } catch {
      return true
    }
    const roots = await rootsOf(state.storage, length)
    if (roots === null) return true
    const same =
      roots.length === nodes.length &&
      roots.every((root, i) => root.size === nodes[i]!.size && root.hash.equals(nodes[i]!.hash))
    if (same) return false
    tell({ fork: proof.fork, length, shared: null })
    await core.replicator.onconflict()
    return true
  }
}

/** Hears of another history of a core that Corestore gave to `guardCore`, found before or later. */
export function onFork(hypercore: Hypercore, listener: (fork: FoundFork) => void): void {
  const { core } = hypercore as unknown as { core: object }
  const watch = watches.get(core)
  if (!watch) return
  watch.listeners.add(listener)
  if (watch.found) listener(watch.found)
}

/** The roots of the tree at a length; null where a part of them is not here. */
async function rootsOf(storage: unknown, length: number): Promise<readonly TreeNode[] | null> {
  try {
    return await MerkleTree.getRootsFromStorage(storage, length)
  } catch (error) {
    if ((error as { code?: string }).code === 'INVALID_OPERATION') return null
    throw error
  }
}
