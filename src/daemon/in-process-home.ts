import { access, constants, mkdir } from 'node:fs/promises'
import type { WorkRecord } from '../../schemas/index.ts'
import { type Bundle, type BundleStore, openStore } from '../archive/store.ts'
import { fail } from '../core/errors.ts'
import type {
  BundleSummary,
  Home,
  OpenOptions,
  OpenRelease,
  PublishOptions,
  PublishResult,
  PublishSession,
  ReleaseSummary,
  Sharing,
  StartPublishOptions,
} from '../core/home.ts'
import type { PreparedBundle } from '../core/prepared-bundle.ts'
import { formatReference, type KeyReference, type Reference } from '../core/reference.ts'
import type { Settings } from '../core/settings.ts'
import type { Network } from '../network/network.ts'
import type { OpenSharing } from '../network/share.ts'
import { openSeed, type Seed } from '../system/seed.ts'
import { FetchingRelease, type Remote } from './fetching-release.ts'
import { readBundle } from './find-release.ts'
import { Names } from './names.ts'
import { syncOwn } from './own-sync.ts'
import { finishSwap } from './store-swap.ts'

/** The store is closed by then, or left to the operating system. */
const CLOSE_MS = 1800

/**
 * Opens a home in this process, which owns its store until closed. The network is touched only when something
 * is asked for that is not here. Throws CONFIG_INVALID when the folder cannot be used, STORE_BUSY, STORE_INVALID.
 */
export async function openHome(settings: Settings): Promise<Home> {
  await assertUsable(settings)
  await finishSwap(settings.home)
  const seed = await openSeed(settings.home)
  return new InProcessHome(settings, seed, await openStore(settings.home, seed))
}

class InProcessHome implements Home {
  readonly #settings: Settings
  readonly #seed: Seed
  readonly #store: BundleStore
  readonly #names: Names
  readonly #joined = new Set<string>()
  readonly #releases = new Set<OpenRelease>()
  readonly #sharings = new Set<OpenSharing>()
  /** Those that serve whatever is published, too. */
  readonly #sharingAll = new Set<OpenSharing>()
  #network: Promise<Network> | null = null
  #closed: Promise<void> | null = null

  constructor(settings: Settings, seed: Seed, store: BundleStore) {
    this.#settings = settings
    this.#seed = seed
    this.#store = store
    this.#names = new Names(settings.home)
  }

  async resolve(ref: Reference): Promise<KeyReference> {
    if (ref.kind === 'key') return ref
    if (ref.kind === 'name') {
      const { name, ...selection } = ref
      return { ...selection, kind: 'key', key: await this.#names.resolve(name) }
    }
    return fail('USAGE', `"${formatReference(ref)}" is no key and no name of a bundle`, {
      hints: ['give the key of 52 characters that repro publish printed'],
    })
  }

  async open(ref: KeyReference, options: OpenOptions): Promise<OpenRelease> {
    const bundle = await this.#bundle(ref.key)
    const { history, signal } = options
    const read = (selection: Omit<KeyReference, 'kind' | 'key'>) => (stallMs: number) =>
      bundle.openRelease(selection, { history, stallMs, ...(signal ? { signal } : {}) })
    const { value, network } = await readBundle(
      this.#ground(bundle),
      {
        read: read(ref),
        pinned: ref.release !== undefined,
        discard: release => release.close(),
      },
      options,
    )
    const { release, contentHash } = value.record
    const again = read({ release, hash: contentHash as `blake3:${string}` })
    const connect = async (): Promise<Remote> => {
      if (options.network === 'never') return await offline(ref.key)
      return {
        network: await this.#join(bundle, options.onRecord),
        release: await again(this.#settings.network.waitMs),
      }
    }
    let remote: Remote | null = null
    if (network) {
      await value.close()
      remote = { network, release: await again(this.#settings.network.waitMs) }
    }
    const opened: OpenRelease = new FetchingRelease(
      remote?.release ?? value,
      remote,
      connect,
      () => this.#releases.delete(opened),
      options.network !== 'never' && !bundle.writable,
    )
    this.#releases.add(opened)
    return opened
  }

  async log(ref: KeyReference, options: OpenOptions): Promise<ReleaseSummary[]> {
    const bundle = await this.#bundle(ref.key)
    const { history, signal } = options
    const { value } = await readBundle(
      this.#ground(bundle),
      {
        read: async stallMs => {
          const limits = { history, stallMs, ...(signal ? { signal } : {}) }
          const releases = await bundle.releases(limits)
          if (releases.length === 0)
            fail('NOT_FOUND', `no release of ${ref.key} is here`, { data: { key: ref.key } })
          return releases
        },
        pinned: false,
      },
      options,
    )
    return value
  }

  async list(): Promise<BundleSummary[]> {
    return await this.#store.list()
  }

  async startPublish({ key, onKey, ...options }: StartPublishOptions): Promise<PublishSession> {
    await this.#names.check()
    const bundle = key === null ? await this.#store.create(onKey) : await this.#bundle(key)
    const told: WorkRecord[] = []
    if (key !== null)
      for await (const record of syncOwn(this.#ground(bundle), options)) told.push(record)
    const session = await bundle.startPublish(options)
    const publish = (prepared: PreparedBundle) => this.#publish(bundle, session, prepared)
    return {
      key: session.key,
      ingest: (files, signal) => after(told, session.ingest(files, signal)),
      publish: prepared => after(told, publish(prepared)),
      close: () => session.close(),
    }
  }

  async *publish(
    prepared: PreparedBundle,
    options: PublishOptions,
  ): AsyncGenerator<WorkRecord, PublishResult> {
    const session = await this.startPublish(options)
    try {
      return yield* session.publish(prepared)
    } finally {
      await session.close()
    }
  }

  async *#publish(
    bundle: Bundle,
    session: PublishSession,
    prepared: PreparedBundle,
  ): AsyncGenerator<WorkRecord, PublishResult> {
    const result = yield* session.publish(prepared)
    const { name } = prepared.manifest
    const holder = await this.#names.claim(name, bundle.key)
    if (holder !== bundle.key)
      yield {
        action: 'note',
        subject: name,
        message: `"${name}" is the name of ${holder} in this home: use the key for this one`,
      }
    for (const sharing of this.#sharingAll) await sharing.add(bundle)
    return result
  }

  async share(refs: readonly KeyReference[], signal?: AbortSignal): Promise<Sharing> {
    const here = new Map((await this.#store.list()).map(summary => [summary.key, summary.releases]))
    const keys =
      refs.length > 0
        ? refs.map(ref => ref.key)
        : [...here].filter(([, releases]) => releases > 0).map(([key]) => key)
    const missing = keys.find(key => !here.get(key))
    if (missing !== undefined)
      fail('NOT_FOUND', `nothing of ${missing} is here that could be shared`, {
        hints: [`repro get ${missing}`],
      })
    if (keys.length === 0)
      fail('NOT_FOUND', 'this home has no bundle to share', { hints: ['repro publish ./folder'] })
    const bundles = await Promise.all([...new Set(keys)].map(key => this.#bundle(key)))
    const network = await this.#openNetwork()
    const { startSharing } = await import('../network/share.ts')
    const sharing = await startSharing(network, bundles, this.#settings.network.listen, signal)
    this.#sharings.add(sharing)
    if (refs.length === 0) this.#sharingAll.add(sharing)
    return sharing
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const work = async () => {
      await Promise.allSettled([...this.#sharings].map(sharing => sharing.close()))
      const network = await this.#network?.catch(() => null)
      await network?.destroy()
      await Promise.allSettled([...this.#releases].map(release => release.close()))
      await this.#store.close()
    }
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, CLOSE_MS)
    })
    await Promise.race([work(), late]).finally(() => clearTimeout(timer))
  }

  async #bundle(key: string): Promise<Bundle> {
    if (this.#closed) fail('INTERRUPTED', 'the home was closed')
    return await this.#store.open(key)
  }

  #ground(bundle: Bundle) {
    return {
      bundle,
      store: this.#store,
      waitMs: this.#settings.network.waitMs,
      join: (onRecord: OpenOptions['onRecord']) => this.#join(bundle, onRecord),
    }
  }

  /** The network, looking for peers of this bundle until the home closes. */
  async #join(bundle: Bundle, onRecord?: (record: WorkRecord) => void): Promise<Network> {
    const network = await this.#openNetwork(onRecord)
    if (!this.#joined.has(bundle.key)) {
      this.#joined.add(bundle.key)
      network.join(bundle)
    }
    return network
  }

  #openNetwork(onRecord?: (record: WorkRecord) => void): Promise<Network> {
    if (this.#closed) fail('INTERRUPTED', 'the home was closed')
    this.#network ??= this.#connect(onRecord)
    return this.#network
  }

  async #connect(onRecord?: (record: WorkRecord) => void): Promise<Network> {
    const [{ connect }, { nodeKeyPair }] = await Promise.all([
      import('../network/network.ts'),
      import('../network/node-keys.ts'),
    ])
    return await connect(this.#store, nodeKeyPair(this.#seed), this.#settings, {
      ...(onRecord ? { onStart: onRecord } : {}),
    })
  }
}

/** What was noted while the session was begun comes before its first work. */
async function* after<T>(
  told: WorkRecord[],
  work: AsyncGenerator<WorkRecord, T>,
): AsyncGenerator<WorkRecord, T> {
  yield* told.splice(0)
  return yield* work
}

async function assertUsable({ home, origins }: Settings): Promise<void> {
  try {
    await mkdir(home, { recursive: true, mode: 0o700 })
    await access(home, constants.W_OK | constants.X_OK)
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException
    fail('CONFIG_INVALID', `the home "${home}" cannot be written to: ${code}`, {
      hints: ['set REPRO_HOME to a folder of yours on a disk with space'],
      data: { home, origin: origins['home'] },
      cause,
    })
  }
}

function offline(key: string): never {
  fail('NO_PEER', `not all of ${key} that is needed is here, and peers may not be asked`, {
    hints: ['repeat the command without --offline'],
    data: { key },
  })
}
