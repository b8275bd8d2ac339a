import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import Corestore from 'corestore'
import type { BundleSummary } from '../core/home.ts'
import { formatKey, parseKey } from '../core/reference.ts'
import { findLockHolder } from '../system/lock-holder.ts'
import type { Seed } from '../system/seed.ts'
import { syncFiles } from '../system/sync-files.ts'
import { noteAdoptedStore } from './adopted-store.ts'
import { blockFilesOf, openBlockStorage } from './block-files/open-block-storage.ts'
import { withdrawDamaged } from './block-files/withdraw.ts'
import type { Bundle, BundleStore } from './bundle.ts'
import { DriveBundle } from './drive-bundle.ts'
import { guardCore, type WatchedCore } from './fork-guard.ts'
import { createOwnBundle, forgetOwnBundle, listOwnBundles, readOwnBundle } from './own-bundles.ts'
import { listSeen, readSeen } from './seen.ts'
import { openError, storeError } from './store-errors.ts'
import { lastWrite, listMarked, unmarkWriting } from './writing-mark.ts'

/** Nodes and keys of drives' trees that stay in memory; what Hyperbee makes for itself keeps 16 times as many. */
const CACHED_TREE_NODES = 4096

/** The bundles of a home in one Corestore, each opened at most once. */
export class CorestoreBundles implements BundleStore {
  readonly #home: string
  readonly #seed: Seed
  readonly #store: Corestore
  readonly #open = new Map<string, Promise<DriveBundle>>()

  private constructor(home: string, seed: Seed, store: Corestore) {
    this.#home = home
    this.#seed = seed
    this.#store = store
  }

  static async open(home: string, seed: Seed): Promise<CorestoreBundles> {
    const folder = join(home, 'store')
    let store: Corestore | undefined
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await noteAdoptedStore(home)
      const storage = await openBlockStorage(folder)
      store = new Corestore(storage, {
        primaryKey: seed.derive('store'),
        unsafe: true,
        globalCache: { maxSize: CACHED_TREE_NODES, _array: [] },
      })
      store.watch(core => guardCore(core as WatchedCore))
      await store.ready()
      withdrawDamaged(store)
      const bundles = new CorestoreBundles(home, seed, store)
      await bundles.#recover()
      return bundles
    } catch (error) {
      await store?.close().catch(() => undefined)
      const holder = await findLockHolder([join(folder, 'CORESTORE'), join(folder, 'db', 'LOCK')])
      throw openError(error, folder, holder)
    }
  }

  async create(onKey?: (key: string) => Promise<void>): Promise<Bundle> {
    const key = await createOwnBundle(this.#home, this.#seed)
    try {
      await onKey?.(key)
    } catch (error) {
      await forgetOwnBundle(this.#home, key)
      throw error
    }
    return await this.open(key)
  }

  async open(key: string): Promise<DriveBundle> {
    const name = formatKey(parseKey(key))
    let bundle = this.#open.get(name)
    if (!bundle) {
      bundle = this.#openBundle(name)
      this.#open.set(name, bundle)
      bundle.catch(() => this.#open.delete(name))
    }
    return await bundle
  }

  async list(): Promise<BundleSummary[]> {
    const own = new Set(await listOwnBundles(this.#home))
    const keys = [...new Set([...own, ...(await listSeen(this.#home))])].sort()
    return await Promise.all(
      keys.map(async key => {
        const seen = await readSeen(this.#home, key)
        const releases = Math.max(0, ...seen.releases.map(one => one.release))
        return { key, name: seen.name ?? null, writable: own.has(key), releases }
      }),
    )
  }

  replicate(connection: Duplex | boolean): Duplex {
    return this.#store.replicate(connection)
  }

  findingPeers(): () => void {
    return this.#store.findingPeers()
  }

  async close(): Promise<void> {
    const open = await Promise.allSettled(this.#open.values())
    this.#open.clear()
    const failed: unknown[] = []
    for (const bundle of open)
      if (bundle.status === 'fulfilled')
        await this.#closeBundle(bundle.value).catch(error => failed.push(error))
    await this.#store.close().catch((error: unknown) => failed.push(error))
    if (failed.length > 0) throw storeError(failed[0], this.#home, this.#home)
  }

  /** A bundle keeps its mark where what was written is not durable. */
  async #closeBundle(bundle: DriveBundle): Promise<void> {
    const { key, drive } = bundle
    let written = false
    try {
      written = await bundle.endWriting()
    } finally {
      await drive.close()
    }
    if (written) await unmarkWriting(this.#home, key)
  }

  /** Makes durable what a process that was killed wrote, before any of it is offered to peers. */
  async #recover(): Promise<void> {
    const marked = await listMarked(this.#home)
    if (marked.length === 0) return
    await syncFiles(join(this.#home, 'store', 'blocks'))
    await this.#flush()
    for (const key of marked)
      if ((await lastWrite(this.#home, key)) === 'killed') await unmarkWriting(this.#home, key)
  }

  /** All that was written so far is durable afterwards: the bytes first, then what points at them. */
  readonly #flush = async (): Promise<void> => {
    await blockFilesOf(this.#store.storage)?.sync()
    await this.#store.storage.db.flush()
  }

  async #openBundle(key: string): Promise<DriveBundle> {
    try {
      const keys = await readOwnBundle(this.#home, this.#seed, key)
      return await DriveBundle.open(this.#home, this.#store, key, keys, this.#flush)
    } catch (error) {
      throw storeError(error, key)
    }
  }
}
