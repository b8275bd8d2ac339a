import type Hypercore from 'hypercore'
import type { DriveBlob } from 'hyperdrive'
import type { FileEntry, WorkRecord } from '../../../schemas/index.ts'
import { ReproError } from '../../core/errors.ts'
import type { OpenRelease } from '../../core/home.ts'
import type { Repair } from '../../core/housekeeping.ts'
import type { Selection } from '../../core/reference.ts'
import { count } from '../../core/text.ts'
import { createBlake3 } from '../../system/blake3.ts'
import type { HistoryLimits } from '../bundle.ts'
import { IMAGES_FOLDER, MANIFEST_PATH } from '../drive-paths.ts'
import type { DriveView } from '../drive-view.ts'
import type { VerifyResult } from '../findings.ts'
import type { PeerView } from '../patience.ts'
import { verifyRelease } from '../verify.ts'
import { findDamage } from './block-damage.ts'
import { type BlockRun, heldRuns } from './held-blocks.ts'
import { type RefetchOptions, refetchBlocks } from './refetch-blocks.ts'
import { RepairJournal } from './repair-journal.ts'
import type { KeptBundle } from './survey.ts'

/** A bundle that can be repaired. */
export interface RepairableBundle extends KeptBundle, PeerView {
  openRelease(selection: Selection, options: HistoryLimits): Promise<OpenRelease>
}

export interface RepairOptions extends RefetchOptions {
  readonly home: string
  /** Looks for a peer; false when none was found. Asked once, when something is damaged. */
  readonly connect: () => Promise<boolean>
}

export interface RepairResult {
  readonly repairs: readonly Repair[]
  /** How the release is afterwards. */
  readonly after: VerifyResult
}

const HERE = { stallMs: 0, history: 'all' } as const
export const RECORDS = "the drive's own records"

/**
 * Finds what of a release is damaged in the store and gets just that anew from peers: the drive's tree and records first,
 * then the blocks of each file whose hash is wrong. Yields a `verify` record for each thing repaired or not.
 * Safe to kill and to repeat; nothing is given up that no connected peer has. Throws what opening a release throws.
 */
export async function* repairRelease(
  bundle: RepairableBundle,
  selection: Selection,
  options: RepairOptions,
): AsyncGenerator<WorkRecord, RepairResult> {
  const work = new RepairWork(bundle, await RepairJournal.open(options.home, bundle.key), options)
  yield* work.records()
  const limits = { ...HERE, ...(options.signal ? { signal: options.signal } : {}) }
  const release = await bundle.openRelease(selection, limits)
  try {
    const before = yield* verifyRelease(release, options.signal)
    const suspects = new Set([...before.changed, ...before.missing])
    if (suspects.size > 0) {
      for await (const entry of release.entries())
        if (entry.type === 'file' && suspects.has(entry.path)) yield* work.file(release, entry)
    }
    if (work.repairs.length === 0) return { repairs: [], after: before }
    return { repairs: work.repairs, after: work.after(before) }
  } finally {
    await release.close()
  }
}

class RepairWork {
  readonly repairs: Repair[] = []
  readonly #bundle: RepairableBundle
  readonly #journal: RepairJournal
  readonly #options: RepairOptions
  #connected: Promise<boolean> | null = null

  constructor(bundle: RepairableBundle, journal: RepairJournal, options: RepairOptions) {
    this.#bundle = bundle
    this.#journal = journal
    this.#options = options
  }

  /** The drive's tree, and the bytes of records, manifests and indexes: without them no release can be opened. */
  async *records(): AsyncGenerator<WorkRecord> {
    const { drive } = this.#bundle
    if (drive.core.length === 0) return
    yield* this.#unfinished(drive.core)
    yield* this.#repair(RECORDS, drive.core, await this.#damageIn(drive.core, heldRuns(drive.core)))
    const core = (await drive.core.has(0)) ? (await drive.getBlobs())?.core : undefined
    if (core === undefined) return
    yield* this.#unfinished(core)
    const view = this.#view(drive.core.length)
    const runs: BlockRun[] = []
    try {
      for await (const { path, blob } of view.list('.repro'))
        if (blob && !path.startsWith(`${IMAGES_FOLDER}/`)) runs.push(...runsOf(blob, core))
    } catch (error) {
      if (!isAbsent(error)) throw error
    } finally {
      await view.close()
    }
    yield* this.#repair(RECORDS, core, await this.#damageIn(core, runs))
    yield* this.#manifests(core)
  }

  /** What an earlier repair gave up before it was killed. */
  async *#unfinished(core: Hypercore): AsyncGenerator<WorkRecord> {
    const pending = this.#journal.pending(core)
    if (pending.length === 0) return
    const back = pending.filter(index => core.core.bitfield.get(index))
    if (back.length > 0) await this.#journal.end(core, back)
    const gone = pending.filter(index => !back.includes(index))
    yield* this.#repair('what a repair that was cut off had given up', core, gone)
  }

  async *#manifests(core: Hypercore): AsyncGenerator<WorkRecord> {
    const { signal } = this.#options
    const known = await this.#bundle.releases({
      stallMs: 0,
      history: 'cheap',
      ...(signal ? { signal } : {}),
    })
    const runs: BlockRun[] = []
    for (const { record } of known) {
      if (record === null) continue
      const view = this.#view(record.driveVersion)
      try {
        const entry = await view.entry(MANIFEST_PATH)
        if (entry?.blob) runs.push(...runsOf(entry.blob, core))
      } catch (error) {
        if (!isAbsent(error)) throw error
      } finally {
        await view.close()
      }
    }
    yield* this.#repair(RECORDS, core, await this.#damageIn(core, runs))
  }

  /** The blocks of one file, its block map first. */
  async *file(release: OpenRelease, file: FileEntry): AsyncGenerator<WorkRecord> {
    const view = this.#view(release.record.driveVersion)
    try {
      const core = await view.blobs()
      const blob = (await view.entry(file.path))?.blob
      if (!blob) return
      const own = runsOf(blob, core)
      let damaged = await this.#damageIn(core, own)
      yield* this.#repair(file.path, core, damaged)
      const ownDamage = damaged.length > 0
      if (
        blob.blockMap &&
        (await core.has(blob.blockOffset, blob.blockOffset + blob.blockLength))
      ) {
        const map = await view.blockMap(blob, file.size)
        damaged = await this.#damageIn(
          core,
          map.map(({ index }) => run(index)),
        )
        yield* this.#repair(file.path, core, damaged)
      }
      if (!ownDamage && damaged.length === 0 && (await core.has(blob.blockOffset)))
        yield* this.#unexplained(release, file)
    } catch (error) {
      // A file whose entry or map was never fetched is missing, not damaged.
      if (!isAbsent(error)) throw error
    } finally {
      await view.close()
    }
  }

  /** A wrong hash though all blocks are the author's. */
  async *#unexplained(release: OpenRelease, file: FileEntry): AsyncGenerator<WorkRecord> {
    if (await hasItsHash(release, file)) return
    const message = 'every block is as its author signed it, and yet the hash is another one'
    yield this.#note({ what: file.path, blocks: 0, repaired: false, message })
  }

  async *#repair(
    what: string,
    core: Hypercore,
    indexes: readonly number[],
  ): AsyncGenerator<WorkRecord> {
    if (indexes.length === 0) return
    const { connect, stallMs, signal } = this.#options
    this.#connected ??= connect()
    const found = await this.#connected
    let back = 0
    if (found) {
      const how = { stallMs, ...(signal ? { signal } : {}) }
      for await (const _ of refetchBlocks(core, indexes, this.#bundle, this.#journal, how)) back++
    }
    const lost = indexes.length - back
    const message = !found
      ? 'no peer of the bundle was found'
      : `no connected peer gave ${lost === indexes.length ? 'it' : `${count('block', lost)} of it`}`
    const one = { what, blocks: indexes.length }
    yield this.#note(lost === 0 ? { ...one, repaired: true } : { ...one, repaired: false, message })
  }

  #note(repair: Repair): WorkRecord {
    this.repairs.push(repair)
    const { what, blocks, repaired, message } = repair
    return {
      action: 'verify',
      status: repaired ? 'ok' : 'error',
      subject: what,
      message: repaired ? `repaired ${count('block', blocks)}` : `not repaired: ${message}`,
      data: { ...repair },
    }
  }

  /** What is wrong after the repairs, without hashing what was right again. */
  after(before: VerifyResult): VerifyResult {
    const right = new Set(this.repairs.filter(one => one.repaired).map(one => one.what))
    for (const { what, repaired } of this.repairs) if (!repaired) right.delete(what)
    return {
      ...before,
      changed: before.changed.filter(path => !right.has(path)),
      missing: before.missing.filter(path => !right.has(path)),
    }
  }

  #view(length: number): DriveView {
    const { signal } = this.#options
    return this.#bundle.view(length, { stallMs: 0, ...(signal ? { signal } : {}) })
  }

  async #damageIn(core: Hypercore, runs: Iterable<BlockRun>): Promise<number[]> {
    const damaged: number[] = []
    for await (const index of findDamage(core, runs, this.#options.signal)) damaged.push(index)
    return damaged
  }
}

async function hasItsHash(release: OpenRelease, file: FileEntry): Promise<boolean> {
  const hasher = createBlake3()
  for await (const chunk of release.read(file)) hasher.update(chunk)
  return hasher.hex() === file.blake3
}

function runsOf({ blockOffset, blockLength }: DriveBlob, core: Hypercore): BlockRun[] {
  const end = Math.min(blockOffset + blockLength, core.length)
  return end > blockOffset ? [{ start: blockOffset, end }] : []
}

const run = (index: number): BlockRun => ({ start: index, end: index + 1 })
const isAbsent = (error: unknown) => error instanceof ReproError && error.code === 'NO_PEER'
