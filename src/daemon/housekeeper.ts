import type { WorkRecord } from '../../schemas/index.ts'
import { StoreKeeper } from '../archive/housekeeping/store-keeper.ts'
import { fail } from '../core/errors.ts'
import { formatReference, type KeyReference, type Reference } from '../core/reference.ts'
import type { Settings } from '../core/settings.ts'
import type { Network } from '../network/network.ts'
import { openSeed, type Seed } from '../system/seed.ts'
import { Names } from './names.ts'
import { waitForPeer } from './peer-search.ts'
import { finishSwap } from './store-swap.ts'

/** A home that is looked after by this process: its store, its names, and peers where they are asked for. */
export class Housekeeper {
  readonly settings: Settings
  readonly keeper: StoreKeeper
  readonly names: Names
  readonly #seed: Seed
  #network: Promise<Network> | null = null

  private constructor(settings: Settings, seed: Seed, keeper: StoreKeeper) {
    this.settings = settings
    this.#seed = seed
    this.keeper = keeper
    this.names = new Names(settings.home)
  }

  /** Throws STORE_BUSY, STORE_INVALID. */
  static async open(settings: Settings): Promise<Housekeeper> {
    await finishSwap(settings.home)
    const seed = await openSeed(settings.home)
    return new Housekeeper(settings, seed, await StoreKeeper.open(settings.home, seed))
  }

  /** Throws NOT_FOUND, USAGE. */
  async resolve(ref: Reference): Promise<KeyReference> {
    if (ref.kind === 'key') return ref
    if (ref.kind !== 'name')
      fail('USAGE', `"${formatReference(ref)}" is no key and no name of a bundle`, {
        hints: ['repro du lists the bundles of this home with their keys'],
      })
    const { name, ...selection } = ref
    return { ...selection, kind: 'key', key: await this.names.resolve(name) }
  }

  /** Looks for a peer of a bundle; false when none was found in the time that the settings give. */
  async findPeer(
    key: string,
    signal?: AbortSignal,
    onRecord?: (record: WorkRecord) => void,
  ): Promise<boolean> {
    const bundle = await this.keeper.store.open(key)
    this.#network ??= this.#connect(onRecord)
    const network = await this.#network
    network.join(bundle)
    const deadline = performance.now() + this.settings.network.waitMs
    return await waitForPeer(bundle, this.keeper.store, network, {
      deadline,
      ...(signal ? { signal } : {}),
    })
  }

  async close(): Promise<void> {
    await this.#leave()
    await this.keeper.close()
  }

  /** Closes the store and gives back to the disk what was cleared. */
  async closeAndCompact(): Promise<void> {
    await this.#leave()
    await this.keeper.closeAndCompact()
  }

  async #leave(): Promise<void> {
    const network = await this.#network?.catch(() => null)
    this.#network = null
    await network?.destroy()
  }

  async #connect(onRecord?: (record: WorkRecord) => void): Promise<Network> {
    const [{ connect }, { nodeKeyPair }] = await Promise.all([
      import('../network/network.ts'),
      import('../network/node-keys.ts'),
    ])
    return await connect(this.keeper.store, nodeKeyPair(this.#seed), this.settings, {
      ...(onRecord ? { onStart: onRecord } : {}),
    })
  }
}
