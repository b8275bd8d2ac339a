import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type Hypercore from 'hypercore'
import type { StoredCore } from 'hypercore-storage'
import { fail } from '../../core/errors.ts'
import type { BundleUsage, Dropped, KeepRule } from '../../core/housekeeping.ts'
import type { Seed } from '../../system/seed.ts'
import { CorestoreBundles } from '../corestore-bundles.ts'
import { forgetOwnBundle, isOwnBundle, noteMustSync } from '../own-bundles.ts'
import type { BundleStore } from '../store.ts'
import { clearAll, clearOthers } from './clear-blocks.ts'
import { compactStore } from './compact-store.ts'
import { blocksOnlyHere } from './held-by-peers.ts'
import { rebuildIndex } from './rebuild-index.ts'
import type { RepairableBundle } from './repair-bundle.ts'
import { surveyBundle } from './survey.ts'

/** The store of a home, open to be looked after. Close it: then the disk gets back what was cleared. */
export class StoreKeeper {
  readonly #home: string
  readonly #bundles: CorestoreBundles
  readonly #deleted: StoredCore[] = []
  /** What remains to be removed of bundles when the store is closed. */
  readonly #last: (() => Promise<void>)[] = []

  private constructor(home: string, bundles: CorestoreBundles) {
    this.#home = home
    this.#bundles = bundles
  }

  /** Throws STORE_BUSY, STORE_INVALID. */
  static async open(home: string, seed: Seed): Promise<StoreKeeper> {
    return new StoreKeeper(home, await CorestoreBundles.open(home, seed))
  }

  get store(): BundleStore {
    return this.#bundles
  }

  /** What each of `keys` takes. Asks no peer. */
  async usage(
    key: string,
    rule: KeepRule,
    signal?: AbortSignal,
  ): Promise<Omit<BundleUsage, 'name'>> {
    return (await surveyBundle(await this.#bundles.open(key), rule, signal)).usage
  }

  /**
   * Gives up the blocks of a bundle that no kept release points at. Records, manifests and indexes of all releases stay.
   * `mayLose` is asked first for an own bundle whose dropped blocks some connected peer may not have.
   */
  async prune(
    key: string,
    rule: KeepRule,
    dryRun: boolean,
    signal?: AbortSignal,
  ): Promise<Omit<Dropped, 'name'>> {
    const bundle = await this.#bundles.open(key)
    const survey = await surveyBundle(bundle, rule, signal)
    const { usage, core, kept, droppedInPlace, unlisted } = survey
    const { writable, reclaimableBytes: bytes } = usage
    if (!dryRun && core !== null && bytes + droppedInPlace > 0)
      await clearOthers(core, kept, key, signal)
    const releases = usage.releases.filter(one => !one.kept && one.held !== 'none')
    return {
      key,
      writable,
      releases: unlisted.length > 0 ? [] : releases.map(one => one.release),
      bytes,
      inPlaceBytes: droppedInPlace,
      unlisted,
    }
  }

  /** How many blocks that pruning would give up no connected peer of the bundle says to have. */
  async onlyHere(key: string, rule: KeepRule, signal?: AbortSignal): Promise<number> {
    const { core, kept } = await surveyBundle(await this.#bundles.open(key), rule, signal)
    return core === null ? 0 : blocksOnlyHere(core, kept)
  }

  /**
   * Removes a bundle: its blocks now, the rest of it when the store is closed. Killed in between it is still listed, and
   * the same call goes on. With `withKey` its key goes too; else an own bundle is marked, so that nothing is written
   * under its key before its history came back from peers.
   */
  async remove(key: string, withKey: boolean, signal?: AbortSignal): Promise<number> {
    const bundle = await this.#bundles.open(key)
    const usage = await this.usage(key, { last: 0, pinned: [] }, signal)
    await noteMustSync(this.#home, key, true)
    const { drive } = bundle
    const here = drive.core.length > 1 && (await drive.core.has(0))
    const blobs = here ? (await drive.getBlobs())?.core : undefined
    for (const core of [blobs, drive.core]) {
      if (core === undefined) continue
      this.#deleted.push(storedCore(core))
      await clearAll(core, key, signal)
    }
    this.#last.push(async () => {
      await rm(join(this.#home, 'blocks', `${key}.idx`), { force: true })
      await rm(join(this.#home, 'repairs', `${key}.json`), { force: true })
      // Who may write again must know how far the history went: peers may have less of it.
      const keyStays = !withKey && (await isOwnBundle(this.#home, key))
      if (!keyStays) await rm(join(this.#home, 'seen', `${key}.json`), { force: true })
      if (withKey) await forgetOwnBundle(this.#home, key)
    })
    return usage.storedBytes
  }

  /** Makes the block index of an own bundle anew; gives the number of blocks it knows. Throws KEY_NOT_WRITABLE. */
  async rebuildIndex(key: string, signal?: AbortSignal): Promise<number> {
    const bundle = await this.#bundles.open(key)
    if (!bundle.writable)
      fail('KEY_NOT_WRITABLE', `only a bundle that this home can write has a block index`, {
        hints: [`repro verify ${key} --repair`],
      })
    return await rebuildIndex(this.#home, bundle, signal)
  }

  /** The bundle of a key, to be repaired. */
  async repairable(key: string): Promise<RepairableBundle> {
    return await this.#bundles.open(key)
  }

  async close(): Promise<void> {
    await this.#bundles.close()
  }

  /** Closes the store, gives back to the disk what was cleared, and removes the rest of what `remove` took. */
  async closeAndCompact(): Promise<void> {
    await this.close()
    await compactStore(this.#home, this.#deleted)
    for (const step of this.#last) await step()
  }

  /** Throws NOT_FOUND when nothing of a bundle is here. */
  async assertKnown(key: string): Promise<void> {
    const known = (await this.#bundles.list()).some(one => one.key === key)
    if (!known && (await this.#bundles.open(key)).drive.core.length === 0)
      fail('NOT_FOUND', `nothing of "${key}" is in this home`, {
        hints: ['repro du lists what is'],
      })
  }
}

function storedCore(core: Hypercore): StoredCore {
  const { corePointer, dataPointer } = core.state.storage.core
  return { corePointer, dataPointer }
}
