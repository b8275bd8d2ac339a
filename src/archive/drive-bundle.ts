import type Corestore from 'corestore'
import Hyperbee from 'hyperbee'
import type Hypercore from 'hypercore'
import type { CorePeer } from 'hypercore'
import Hyperdrive from 'hyperdrive'
import type { ReleaseRecord, SeenFile, SeenFork, WorkRecord } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import type {
  OpenRelease,
  PublishOptions,
  PublishResult,
  PublishSession,
  ReleaseSummary,
  StartPublishOptions,
} from '../core/home.ts'
import type { PreparedBundle } from '../core/prepared-bundle.ts'
import { parseKey, type Selection } from '../core/reference.ts'
import { enterPhase } from '../system/phase.ts'
import type { PublishHost } from './begin-publish.ts'
import type { BlockFiles } from './block-files/block-files.ts'
import { blockFilesOf } from './block-files/open-block-storage.ts'
import type { Bundle, DishonestPeer, HistoryLimits, ReadLimits, Received } from './bundle.ts'
import { DriveView } from './drive-view.ts'
import { DurableGate } from './durable-gate.ts'
import { type FoundFork, onFork } from './fork-guard.ts'
import { History, treeHashAt } from './history.ts'
import { knownHistory } from './known-history.ts'
import { Mutex } from './mutex.ts'
import { type BundleKeys, mustSyncFirst, noteMustSync } from './own-bundles.ts'
import { catchUpCores, endRecovery, fetchBlocks, isRecovering } from './own-sync.ts'
import { Patience, type PeerView } from './patience.ts'
import { StoreSession } from './publish-session.ts'
import { readSeen, withRelease, writeSeen } from './seen.ts'
import { chooseRelease } from './select-release.ts'
import { isWriteFault } from './store-errors.ts'
import { StoreRelease } from './store-release.ts'
import { type CaughtUp, type SyncReason, syncNeeded } from './sync-reason.ts'
import { lastWrite, markWriting } from './writing-mark.ts'

const UPDATE_MS = 10_000
/** How long a peer may take to prove that the owner signed what does not fit. */
const PROOF_MS = 2000
/** How long other peers are listened to after the last news of one. */
const SETTLE_MS = 1000

/** What a peer sent. */
interface Answer {
  readonly upgrade?: unknown
}

/** A bundle in a Hyperdrive of the store. */
export class DriveBundle implements Bundle, PeerView {
  readonly key: string
  readonly drive: Hyperdrive
  readonly #home: string
  readonly #keys: BundleKeys | null
  readonly #flush: () => Promise<void>
  readonly #blockFiles: BlockFiles | null
  readonly #publishing = new Mutex()
  readonly #seenLock = new Mutex()
  readonly #listeners = new Set<(peer: DishonestPeer) => void>()
  readonly #gates = new Set<DurableGate>()
  #received = { bytes: 0, blocks: 0 }
  #refused = 0
  /** Settles when the fork that was found last is noted. */
  #noting: Promise<void> = Promise.resolve()
  /** Whether a second history of the owner's was found since the bundle was opened. */
  #forked = false
  /** How many blocks were here before any peer could add to them. */
  readonly #atOpen = { tree: 0, bytes: 0 }
  /** Set when this process may write: it is noted on disk by then. */
  #writing: Promise<void> | null = null

  private constructor(
    home: string,
    key: string,
    drive: Hyperdrive,
    keys: BundleKeys | null,
    flush: () => Promise<void>,
    blockFiles: BlockFiles | null,
  ) {
    this.#home = home
    this.key = key
    this.drive = drive
    this.#keys = keys
    this.#flush = flush
    this.#blockFiles = blockFiles
  }

  static async open(
    home: string,
    store: Corestore,
    key: string,
    keys: BundleKeys | null,
    flush: () => Promise<void>,
  ): Promise<DriveBundle> {
    const session = store.session()
    const core = session.get({
      ...(keys ? { keyPair: keys.keyPair } : { key: parseKey(key) }),
      exclusive: true,
    })
    await core.ready()
    const bee = new Hyperbee(core, {
      keyEncoding: 'utf-8',
      valueEncoding: 'json',
      metadata: { contentFeed: null },
    })
    const drive = new Hyperdrive(session, null, { _db: bee })
    const bundle = new DriveBundle(home, key, drive, keys, flush, blockFilesOf(store.storage))
    drive.on('blobs', (blobs: { core: Hypercore }) => bundle.#watch(blobs.core, 'bytes'))
    bundle.#watch(core, 'tree')
    await drive.ready()
    return bundle
  }

  get folder(): string {
    return this.#home
  }
  get discoveryKey(): Buffer {
    return this.drive.discoveryKey
  }
  get writable(): boolean {
    return this.#keys !== null
  }

  async update(options: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<boolean> {
    const { signal, timeoutMs = UPDATE_MS } = options
    signal?.throwIfAborted()
    const before = this.drive.core.length
    let end = () => {}
    const ended = new Promise<void>(resolve => {
      const timer = setTimeout(resolve, timeoutMs)
      signal?.addEventListener('abort', () => resolve(), { once: true })
      end = () => clearTimeout(timer)
    })
    const update = this.drive.core.update({ wait: true })
    try {
      await Promise.race([update, ended])
    } finally {
      end()
      update.catch(() => undefined)
    }
    signal?.throwIfAborted()
    return this.drive.core.length > before
  }

  async releases(options: HistoryLimits): Promise<ReleaseSummary[]> {
    const history = await this.#readHistory(options)
    const all = await history.examineAll()
    await this.#remember(history, [], options)
    return all.map(({ release, record, fault }) => ({
      release,
      record,
      fault: fault?.message ?? null,
    }))
  }

  async openRelease(selection: Selection, options: HistoryLimits): Promise<OpenRelease> {
    const history = await this.#readHistory(options)
    let record: ReleaseRecord
    try {
      record = await chooseRelease(history, selection)
    } catch (error) {
      await this.#remember(history, [], options)
      throw error
    }
    const release = await StoreRelease.open(this, record, options)
    await this.#remember(history, [record], options, release.manifest.name)
    return release
  }

  async startPublish(options: Omit<StartPublishOptions, 'key' | 'onKey'>): Promise<PublishSession> {
    const keys = this.#keys
    if (!keys)
      fail('KEY_NOT_WRITABLE', `this home cannot write to "${this.key}"`, {
        hints: [
          'publish to a new key with: repro publish --new',
          'or publish from the home that made the bundle, or bring its key here: repro key import <file>',
        ],
      })
    const unlock = await this.#publishing.lock(options.signal)
    try {
      let before: History | null = null
      const host: PublishHost = {
        bundle: this,
        keys,
        blockFiles: this.#blockFiles,
        flush: () => this.makeDurable(),
        history: async limits => {
          before = await this.#readHistory(limits)
          return before
        },
        remember: (record, name) => this.#rememberOwn(before, record, name),
      }
      return await StoreSession.start(host, options, unlock)
    } catch (error) {
      unlock()
      throw error
    }
  }

  async *publish(
    prepared: PreparedBundle,
    options: Omit<PublishOptions, 'key' | 'onKey'>,
  ): AsyncGenerator<WorkRecord, PublishResult> {
    const session = await this.startPublish(options)
    try {
      return yield* session.publish(prepared)
    } finally {
      await session.close()
    }
  }

  /** Makes all that was written so far durable, then lets peers have it. */
  async makeDurable(): Promise<void> {
    const marks = [...this.#gates].map(gate => gate.mark())
    await this.#flush()
    for (const pass of marks.reverse()) pass()
  }

  /** Ends writing, if this process wrote: all of it is durable. True when there was something to end. */
  async endWriting(): Promise<boolean> {
    if (this.#writing === null) return false
    if (![...this.#gates].every(gate => gate.level)) await this.makeDurable()
    return true
  }

  async unsynced(released = 0): Promise<SyncReason | null> {
    if (!this.#keys || this.#writing) return null
    if (await mustSyncFirst(this.#home, this.key)) return 'imported'
    if (await this.isBehind(released)) return 'store-behind'
    const stopped =
      this.#cores().some(isRecovering) ||
      (await lastWrite(this.#home, this.key)) === 'machine-stopped'
    return stopped ? 'machine-stopped' : null
  }

  async isBehind(released = 0): Promise<boolean> {
    const known = await knownHistory(this.#home, this.key)
    const [tree = 0, bytes = 0] = this.#cores().map(core => core.length)
    if (tree < known.tree || bytes < known.bytes) return true
    // A history that is long enough has the releases that it had; one that came with a key is counted.
    const imported = await mustSyncFirst(this.#home, this.key)
    const least = Math.max(imported ? known.release : 0, released)
    return least > 0 && (await this.#released()) < least
  }

  async catchUp(options: { signal?: AbortSignal; timeoutMs: number }): Promise<CaughtUp> {
    const { signal, timeoutMs } = options
    const patience = new Patience(this, { stallMs: timeoutMs, ...(signal ? { signal } : {}) })
    const reason = await this.unsynced()
    const blobs = (await this.drive.getBlobs())?.core
    const { core } = this.drive
    const known = await knownHistory(this.#home, this.key)
    await catchUpCores(blobs ? [core, blobs] : [core], patience, {
      deadline: performance.now() + timeoutMs,
      settleMs: SETTLE_MS,
      enough: () => core.length >= known.tree && (!blobs || blobs.length >= known.bytes),
    })
    await fetchBlocks(core, 0, core.length, patience)
    if (blobs && reason === 'imported') await this.#fetchOwnFiles(blobs, patience)
    if (blobs && reason !== 'imported')
      await fetchBlocks(blobs, this.#atOpen.bytes, blobs.length, patience)
    const told = core.peers.filter(peer => peer.remoteSynced)
    const gained = core.length + (blobs?.length ?? 0) - this.#atOpen.tree - this.#atOpen.bytes
    return { peers: new Set(told.map(peer => peer.stream)).size, gained }
  }

  async mayWrite(): Promise<void> {
    if (this.#writing) return await this.#writing
    this.#writing = this.#beginWriting()
    await this.#writing
  }

  async #beginWriting(): Promise<void> {
    await markWriting(this.#home, this.key)
    await noteMustSync(this.#home, this.key, false)
    for (const core of this.#cores()) await endRecovery(core)
  }

  async #released(): Promise<number> {
    const history = await this.#readHistory({ history: 'cheap', stallMs: 0 })
    return history.numbers.length
  }

  #cores(): Hypercore[] {
    const { core, blobs } = this.drive
    return blobs ? [core, blobs.core] : [core]
  }

  /** Records, manifest and index: what publishing needs of a bundle whose files are elsewhere. */
  async #fetchOwnFiles(blobs: Hypercore, patience: Patience): Promise<void> {
    if (this.drive.core.length < 2) return
    const view = new DriveView(this.drive, this.drive.core.length, patience)
    try {
      for await (const { path, blob } of view.list('.repro')) {
        if (!blob || path.startsWith('.repro/images/')) continue
        await fetchBlocks(blobs, blob.blockOffset, blob.blockOffset + blob.blockLength, patience)
      }
    } finally {
      await view.close()
    }
  }

  /** Before each write of ours: the first makes sure that it continues the history that peers have. */
  async #beforeWrite(): Promise<void> {
    if (this.#writing) return await this.#writing
    const reason = await this.unsynced()
    if (reason !== null) throw syncNeeded(this.key, reason)
    await this.mayWrite()
  }

  peers(): number {
    return new Set(this.drive.core.peers.map(peer => peer.stream)).size
  }
  received(): Received {
    return { ...this.#received }
  }
  progress(): number {
    return this.#received.blocks + this.drive.core.length
  }
  refused(): number {
    return this.#refused
  }
  writeFault(): unknown {
    return this.#blockFiles?.writeFault ?? null
  }
  owing(): readonly string[] {
    const blobs = this.drive.blobs?.core.peers ?? []
    const asked = [...this.drive.core.peers, ...blobs].filter(peer => peer.inflight > 0)
    return [...new Set(asked.flatMap(peer => peer.remotePublicKey?.toString('hex') ?? []))]
  }
  onDishonestPeer(listener: (peer: DishonestPeer) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  view(length: number, limits: ReadLimits): DriveView {
    return new DriveView(this.drive, length, new Patience(this, limits))
  }

  async #readHistory(options: HistoryLimits): Promise<History> {
    const patience = new Patience(this, options)
    await this.#noting
    const seen = await readSeen(this.#home, this.key)
    return await History.read(this.drive, this.key, patience, options.history, seen)
  }

  /**
   * Keeps a release of our own. What was written after `before` was scanned was written by us, and its only record is this
   * one: nobody has to scan it. One that is unchanged may have been cut off before it was remembered.
   */
  async #rememberOwn(before: History | null, record: ReleaseRecord, name: string): Promise<void> {
    const limits = { history: 'cheap', stallMs: 0 } as const
    const history = before ?? (await this.#readHistory(limits))
    const { seen, length } = history
    const whole = length < 2 || seen.scanned >= length
    const puts = { ...seen.puts, [record.release]: record.driveVersion }
    const ours = whole && record.driveVersion >= length
    const after = ours ? { ...seen, scanned: this.drive.core.length, puts } : seen
    await this.#remember({ seen: after }, [record], limits, name, this.drive.blobs?.core.length)
  }

  /** Keeps what was scanned and which releases were found good. */
  async #remember(
    history: Pick<History, 'seen'>,
    good: readonly ReleaseRecord[],
    limits: ReadLimits,
    name?: string,
    bytes?: number,
  ): Promise<void> {
    const { core } = this.drive
    const patience = new Patience(this, limits)
    const treeHashes = await Promise.all(
      good.map(record => treeHashAt(core, record.driveVersion, patience)),
    )
    const unlock = await this.#seenLock.lock()
    try {
      const before = await readSeen(this.#home, this.key)
      let after: SeenFile =
        history.seen.scanned >= before.scanned
          ? {
              ...before,
              scanned: history.seen.scanned,
              puts: history.seen.puts,
              faults: history.seen.faults,
            }
          : before
      good.forEach((record, i) => {
        const { key, release, tag, contentHash, driveVersion } = record
        const treeHash = treeHashes[i]!
        const seen = { key, fork: core.fork, release, contentHash, driveVersion, treeHash }
        after = withRelease(after, { ...seen, ...(tag === undefined ? {} : { tag }) }, name)
      })
      if (bytes !== undefined) after = { ...after, bytes }
      await writeSeen(this.#home, before, after)
    } finally {
      unlock()
    }
  }

  async #noteFork(core: SeenFork['core'], fork: FoundFork): Promise<void> {
    const unlock = await this.#seenLock.lock()
    try {
      const before = await readSeen(this.#home, this.key)
      await writeSeen(this.#home, before, { ...before, fork: { core, ...fork } })
    } finally {
      unlock()
    }
  }

  #watch(core: Hypercore, name: SeenFork['core']): void {
    this.#atOpen[name] = core.length
    onFork(core, fork => {
      this.#forked = true
      const noted = this.#noteFork(name, fork)
      this.#noting = noted.catch(() => undefined)
    })
    if (this.#keys) {
      const gate = DurableGate.of(core)
      gate.beforeWrite = () => this.#beforeWrite()
      this.#gates.add(gate)
    }
    core.on('download', (_index: number, bytes: number) => {
      enterPhase('fetch')
      this.#received.bytes += bytes
      this.#received.blocks++
    })
    core.on('verification-error', (error: Error, _req: unknown, res: Answer, from: CorePeer) => {
      // Right bytes that this disk did not take are no fault of the peer's.
      if (isWriteFault(error, this.key)) return
      const refuse = () => {
        if (this.#forked) return
        this.#refused++
        const peer = from.remotePublicKey?.toString('hex') ?? null
        for (const listener of this.#listeners) listener({ peer, message: error.message })
        from.stream.destroy()
      }
      // A longer history that does not fit may be the owner's second one: the peer is asked to prove that.
      if (!res?.upgrade) refuse()
      else setTimeout(refuse, PROOF_MS).unref()
    })
  }
}
