import type Hypercore from 'hypercore'
import type Hyperdrive from 'hyperdrive'
import type { ReleaseRecord, SeenFile } from '../../schemas/index.ts'
import { fail, ReproError } from '../core/errors.ts'
import { recordPath } from './drive-paths.ts'
import { type DriveEntry, DriveView } from './drive-view.ts'
import { CHEAP_HISTORY_BLOCKS, MAX_RECORD_BYTES } from './limits.ts'
import type { Patience } from './patience.ts'
import { isAbsent, listRecords, scanRecords } from './record-scan.ts'
import { checkRecord } from './release-record.ts'

/** One release as its drive has it. */
export interface ExaminedRelease {
  readonly release: number
  /** The first record written for it, when that could be read and is valid in itself. */
  readonly record: ReleaseRecord | null
  readonly fault: ReproError | null
}

/** What a drive's release records say, and which of them were rewritten (design.md §4: records are final). */
export class History {
  readonly key: string
  readonly length: number
  /** Numbers of all releases that are or were there, ascending. */
  readonly numbers: readonly number[]
  /** What the caller should remember. */
  readonly seen: SeenFile
  readonly #drive: Hyperdrive
  readonly #patience: Patience
  readonly #head: ReadonlyMap<number, DriveEntry>
  readonly #lists = new Map<number, Promise<Map<number, DriveEntry>>>()
  readonly #examined = new Map<number, Promise<ExaminedRelease>>()

  private constructor(
    drive: Hyperdrive,
    key: string,
    length: number,
    patience: Patience,
    seen: SeenFile,
    head: ReadonlyMap<number, DriveEntry>,
  ) {
    this.#drive = drive
    this.key = key
    this.length = length
    this.#patience = patience
    this.seen = seen
    this.#head = head
    const written = Object.entries(seen.puts).filter(([, seq]) => seq < length)
    const newest = Math.max(0, ...head.keys(), ...written.map(([release]) => Number(release)))
    this.numbers = Array.from({ length: newest }, (_, i) => i + 1)
  }

  /** Reads the list of records of a drive at its present length, and scans its history as far as `depth` asks. */
  static async read(
    drive: Hyperdrive,
    key: string,
    patience: Patience,
    depth: 'all' | 'cheap',
    seen: SeenFile,
  ): Promise<History> {
    const length = drive.core.length
    if (length < 2) return new History(drive, key, length, patience, seen, new Map())
    const view = new DriveView(drive, length, patience)
    try {
      const head = await listRecords(view)
      const from = Math.max(1, seen.scanned)
      const wanted = depth === 'all' || length - from <= CHEAP_HISTORY_BLOCKS
      const scanned =
        wanted && from < length ? await scanRecords(drive, from, length, patience, seen) : seen
      return new History(drive, key, length, patience, scanned, head)
    } finally {
      await view.close()
    }
  }

  /** A release with everything that is known against it. Its record is checked; null when it never was there. */
  async examine(release: number): Promise<ExaminedRelease | null> {
    if (release < 1 || release > this.numbers.length) return null
    let examined = this.#examined.get(release)
    if (!examined) {
      examined = this.#examine(release)
      this.#examined.set(release, examined)
    }
    return await examined
  }

  /** All releases, oldest first, with re-used tags found. */
  async examineAll(): Promise<ExaminedRelease[]> {
    const all: ExaminedRelease[] = []
    const tags = new Map<string, number>()
    for (const release of this.numbers) {
      const one = (await this.examine(release))!
      const tag = one.record?.tag
      const first = tag === undefined ? undefined : tags.get(tag)
      if (tag !== undefined && first === undefined) tags.set(tag, release)
      if (first === undefined || one.fault) all.push(one)
      else
        all.push({
          ...one,
          fault: rewritten(this.key, release, `its tag "${tag}" is that of release ${first}`),
        })
    }
    return all
  }

  async #examine(release: number): Promise<ExaminedRelease> {
    const entry = this.#head.get(release)
    const first = this.seen.puts[release]
    const fault = (what: string) => rewritten(this.key, release, what)
    const forked = forkFault(this.#drive, this.seen)
    let record: ReleaseRecord | null = null
    try {
      record = await this.#readRecord(
        release,
        first !== undefined && first < this.length ? first : entry?.seq,
        this.seen.fork ? this.#patience.here : this.#patience,
      )
      const problem =
        this.seen.faults[release] ??
        forked ??
        (entry === undefined ? 'its record was deleted' : null) ??
        (first !== undefined && first !== entry?.seq ? 'its record was written again' : null) ??
        (record && entry ? await this.#compare(record, entry) : null)
      return { release, record, fault: problem === null ? null : fault(problem) }
    } catch (error) {
      if (forked !== null && isAbsent(error)) return { release, record, fault: fault(forked) }
      const absent = this.#patience.offline && isAbsent(error)
      if (!absent && !(error instanceof ReproError && SHOWN.has(error.code))) throw error
      return { release, record, fault: error as ReproError }
    }
  }

  /** The record that was put by the block `seq`. */
  async #readRecord(
    release: number,
    seq: number | undefined,
    patience: Patience,
  ): Promise<ReleaseRecord | null> {
    if (seq === undefined) return null
    const view = new DriveView(this.#drive, seq + 1, patience)
    try {
      const bytes = await view.read(recordPath(release), MAX_RECORD_BYTES)
      if (bytes === null) return null
      return await checkRecord(bytes.toString('utf8'), { key: this.key, release })
    } finally {
      await view.close()
    }
  }

  #recordsAt(length: number): Promise<Map<number, DriveEntry>> {
    let records = this.#lists.get(length)
    if (!records) {
      const view = new DriveView(this.#drive, length, this.#patience)
      records = listRecords(view).finally(() => view.close())
      this.#lists.set(length, records)
    }
    return records
  }

  /** Why the record's place in the drive contradicts what it says or what was seen; null when nothing does. */
  async #compare(record: ReleaseRecord, entry: DriveEntry): Promise<string | null> {
    const { release, driveVersion } = record
    if (entry.seq !== driveVersion)
      return `its record lies at ${entry.seq} of the drive, and says ${driveVersion}`
    const before = await this.#recordsAt(driveVersion)
    if (before.has(release)) return 'its record was there before'
    for (const other of before.keys())
      if (other > release) return `release ${other} was written before it`
    if (before.size !== release - 1) return 'releases before it are missing'
    const next = this.#head.get(release + 1)
    if (next) {
      const then = (await this.#recordsAt(next.seq)).get(release)
      if (then?.seq !== entry.seq) return 'its record was written again'
    }
    return await this.#compareSeen(record)
  }

  async #compareSeen(record: ReleaseRecord): Promise<string | null> {
    const known = this.seen.releases.find(one => one.release === record.release)
    if (!known) return null
    if (known.contentHash !== record.contentHash)
      return `it had the content ${known.contentHash} before, and has ${record.contentHash} now`
    if (known.driveVersion !== record.driveVersion || known.fork !== this.#drive.core.fork)
      return 'it lay elsewhere in the drive before'
    if ((await treeHashAt(this.#drive.core, known.driveVersion, this.#patience)) !== known.treeHash)
      return 'the drive had another history before'
    return null
  }
}

/** Why no release of a drive can be trusted: its owner signed two histories. Null when no second one was seen. */
function forkFault(drive: Hyperdrive, { fork: other }: SeenFile): string | null {
  const kept = 'that was not followed, and what was fetched before is kept here'
  if (other?.fork === 0)
    return `its owner signed two different histories of ${other.length} blocks, from two places: the one that came second was not followed`
  const what = other?.core === 'bytes' ? 'the bytes of the drive were' : 'the drive was'
  if (other) return `${what} truncated and written again (fork ${other.fork}): ${kept}`
  const followed = drive.core.fork || (drive.blobs?.core.fork ?? 0)
  return followed === 0 ? null : `the drive was truncated and written again (fork ${followed})`
}

/** What a single bad record is shown with, instead of ending the work. */
const SHOWN = new Set([
  'RECORD_INVALID',
  'SIGNATURE_INVALID',
  'FORMAT_UNSUPPORTED',
  'HISTORY_REWRITTEN',
])

export function rewritten(key: string, release: number, what: string): ReproError {
  return new ReproError(
    'HISTORY_REWRITTEN',
    `release ${release} of "${key}" was rewritten: ${what}`,
    {
      hints: [
        'a release never changes: do not trust this bundle until its author explains it',
        `see the whole history: repro log ${key}`,
      ],
      data: { key, release },
    },
  )
}

/** Merkle tree hash of the Bee's core at a length, hex. */
export async function treeHashAt(
  core: Hypercore,
  length: number,
  patience: Patience,
): Promise<string> {
  if (patience.offline && !(await core.has(length - 1)))
    fail('NO_PEER', 'the history of the drive is not here', {
      hints: ['repeat the command without --offline'],
    })
  return (await patience.wait(core.treeHash(length))).toString('hex')
}
