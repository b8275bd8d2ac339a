import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type CheckoutFile, FORMAT } from '../../schemas/index.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import type { OpenRelease } from '../core/home.ts'
import type { ReleaseSource } from '../core/release-source.ts'
import { syncFolder, writeFileAtomic, writeFileRenamed } from '../system/atomic-file.ts'
import { parallel } from '../system/parallel.ts'
import { enterPhase } from '../system/phase.ts'
import {
  INDEX_FOLDER,
  MANIFEST_PATH,
  RELEASES_FOLDER,
  recordPath,
  segmentPath,
} from './drive-paths.ts'
import { CHECKOUT_PATH, readFolderSegment } from './folder-release.ts'
import { allSegments } from './segments.ts'

const STARTED_AT_MOST = 16
const WRITES_AT_ONCE = 8

/** What of a release stands in the folder in the end. */
interface Part {
  readonly partial: boolean
  readonly selected: readonly string[]
}

/**
 * Notes that the folder is being written, and keeps the new index beside it: whoever comes after an interruption
 * knows the files of this release as ours. What earlier checkouts noted stays for the same reason. Returns the names
 * of the segments, for `finishCheckout`.
 */
export async function startCheckout(
  folder: string,
  source: ReleaseSource,
  earlier: CheckoutFile | null,
  part: Part,
): Promise<ReadonlySet<string>> {
  const segments = await writeSegments(folder, source)
  const { index } = source.manifest
  const others = (earlier?.started ?? []).filter(one => one.blake3 !== index.blake3)
  const started = [...others, index].slice(-STARTED_AT_MOST)
  await writeState(folder, { ...(earlier ?? stateOf(source, part)), complete: false, started })
  return segments
}

/** Writes record and manifest beside the files and the index, and notes that the folder is complete, in this order. */
export async function finishCheckout(
  folder: string,
  source: ReleaseSource | OpenRelease,
  part: Part,
  segments: ReadonlySet<string>,
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
  await keepOnly(join(folder, INDEX_FOLDER), segments)
  if (record) await keepOnly(join(folder, RELEASES_FOLDER), new Set([`${record.release}.json`]))
}

/** Writes those index segments that do not lie there as they must. Returns the names of all. */
async function writeSegments(folder: string, source: ReleaseSource): Promise<Set<string>> {
  const names = new Set<string>()
  let written = 0
  const write = async ({ blake3, text }: { blake3: string; text: string }) => {
    names.add(`${blake3}.jsonl`)
    const there = await readFolderSegment(folder, blake3).catch(() => null)
    if (there === text) return
    await writeFileRenamed(join(folder, segmentPath(blake3)), text)
    written++
  }
  for await (const _ of parallel(allSegments(source), WRITES_AT_ONCE, write));
  if (written > 0) await syncFolder(join(folder, INDEX_FOLDER))
  return names
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
