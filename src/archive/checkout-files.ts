import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type CheckoutFile, FORMAT } from '../../schemas/index.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import type { OpenRelease } from '../core/home.ts'
import type { ReleaseSource } from '../core/release-source.ts'
import { syncFolder, writeFileAtomic } from '../system/atomic-file.ts'
import { enterPhase } from '../system/phase.ts'
import type { TreePool } from '../system/tree-pool.ts'
import type { FileToWrite, TreeWriter } from '../system/tree-writer.ts'
import {
  INDEX_FOLDER,
  MANIFEST_PATH,
  RELEASES_FOLDER,
  recordPath,
  segmentPath,
} from './drive-paths.ts'
import { CHECKOUT_PATH, readFolderSegment } from './folder-release.ts'

const STARTED_AT_MOST = 16
/** All segments of an index are as many bytes as the index: they are written a few at a time. */
const SEGMENTS_AT_ONCE = 256

/** What of a release stands in the folder in the end. */
interface Part {
  readonly partial: boolean
  readonly selected: readonly string[]
}

/**
 * Notes that the folder is being written, and keeps the new index beside it: whoever comes after an interruption
 * knows the files of this release as ours. What earlier checkouts noted stays for the same reason.
 */
export async function startCheckout(
  folder: string,
  source: ReleaseSource,
  earlier: CheckoutFile | null,
  part: Part,
  segments: SegmentWriter,
): Promise<void> {
  await writeSegments(folder, segments)
  const { index } = source.manifest
  const others = (earlier?.started ?? []).filter(one => one.blake3 !== index.blake3)
  const started = [...others, index].slice(-STARTED_AT_MOST)
  await writeState(folder, { ...(earlier ?? stateOf(source, part)), complete: false, started })
}

/** Writes record and manifest beside the files and the index, and notes that the folder is complete, in this order. */
export async function finishCheckout(
  folder: string,
  source: ReleaseSource | OpenRelease,
  part: Part,
  texts: ReadonlyMap<string, string>,
): Promise<void> {
  const record = 'record' in source ? source.record : null
  if (record) await writeFileAtomic(join(folder, recordPath(record.release)), canonicalJson(record))
  await writeFileAtomic(join(folder, MANIFEST_PATH), source.manifestText)
  await writeState(folder, stateOf(source, part))
  const { key, release, contentHash } = source.identity
  if (key !== null && release !== null) {
    const bundle = canonicalJson({ format: FORMAT, key, release, contentHash })
    await writeFileAtomic(join(folder, '.repro/bundle.json'), `${bundle}\n`)
  }
  await keepOnly(join(folder, INDEX_FOLDER), new Set([...texts.keys()].map(fileOf)))
  if (record) await keepOnly(join(folder, RELEASES_FOLDER), new Set([`${record.release}.json`]))
}

/** What writes the index: all its segments by BLAKE3, checked. */
interface SegmentWriter {
  readonly writer: TreeWriter
  readonly pool: TreePool
  readonly texts: ReadonlyMap<string, string>
}

/** Writes those index segments that do not lie there as they must. */
async function writeSegments(
  folder: string,
  { writer, pool, texts }: SegmentWriter,
): Promise<void> {
  const there = new Set(await readdir(join(folder, INDEX_FOLDER)))
  async function* missing(): AsyncGenerator<readonly FileToWrite[]> {
    let batch: FileToWrite[] = []
    for (const [blake3, text] of texts) {
      if (there.has(fileOf(blake3)) && (await isThere(folder, blake3, text))) continue
      batch.push(segmentFile(blake3, Buffer.from(text)))
      if (batch.length < SEGMENTS_AT_ONCE) continue
      yield batch
      batch = []
    }
    if (batch.length > 0) yield batch
  }
  let wrote = false
  for await (const _ of writer.writeFiles(missing(), { pool, mtime: null })) wrote = true
  if (wrote) await syncFolder(join(folder, INDEX_FOLDER))
}

function segmentFile(blake3: string, bytes: Buffer): FileToWrite {
  return {
    entry: { path: segmentPath(blake3), type: 'file', size: bytes.length, blake3 },
    extents: [{ bytes }],
    async *read() {
      yield bytes
    },
  }
}

const fileOf = (blake3: string) => `${blake3}.jsonl`

async function isThere(folder: string, blake3: string, text: string): Promise<boolean> {
  return (await readFolderSegment(folder, blake3).catch(() => null)) === text
}

async function writeState(folder: string, state: CheckoutFile): Promise<void> {
  enterPhase('note')
  await writeFileAtomic(join(folder, CHECKOUT_PATH), `${canonicalJson(state)}\n`)
}

function stateOf(source: ReleaseSource, { partial, selected }: Part): CheckoutFile {
  const { key, release, contentHash } = source.identity
  return {
    format: FORMAT,
    key,
    release,
    contentHash,
    complete: true,
    partial,
    ...(partial ? { selected: [...selected] } : {}),
  }
}

async function keepOnly(folder: string, names: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!names.has(name)) await rm(join(folder, name), { force: true })
  }
}
