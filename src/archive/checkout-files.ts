import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type CheckoutFile, FORMAT } from '../../schemas/index.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import type { OpenRelease } from '../core/home.ts'
import type { ReleaseSource } from '../core/release-source.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import {
  INDEX_FOLDER,
  MANIFEST_PATH,
  RELEASES_FOLDER,
  recordPath,
  segmentPath,
} from './drive-paths.ts'
import { CHECKOUT_PATH } from './folder-release.ts'
import { allSegments } from './segments.ts'

/** Notes that the folder is being written. What an earlier checkout noted stays, so that its files stay known. */
export async function startCheckout(
  folder: string,
  source: ReleaseSource,
  earlier: CheckoutFile | null,
  partial: boolean,
): Promise<void> {
  const state = { ...(earlier ?? stateOf(source, partial)), complete: false }
  await writeFileAtomic(join(folder, CHECKOUT_PATH), `${canonicalJson(state)}\n`)
}

/** Writes index, record and manifest beside the files, and notes that the folder is complete, in this order. */
export async function finishCheckout(
  folder: string,
  source: ReleaseSource | OpenRelease,
  partial: boolean,
): Promise<void> {
  const segments = new Set<string>()
  for await (const { blake3, text } of allSegments(source)) {
    segments.add(`${blake3}.jsonl`)
    await writeFileAtomic(join(folder, segmentPath(blake3)), text)
  }
  const record = 'record' in source ? source.record : null
  if (record) await writeFileAtomic(join(folder, recordPath(record.release)), canonicalJson(record))
  await writeFileAtomic(join(folder, MANIFEST_PATH), source.manifestText)
  const state = stateOf(source, partial)
  await writeFileAtomic(join(folder, CHECKOUT_PATH), `${canonicalJson(state)}\n`)
  const { key, release, contentHash } = source.identity
  if (key !== null && release !== null) {
    const bundle = canonicalJson({ format: FORMAT, key, release, contentHash })
    await writeFileAtomic(join(folder, '.repro/bundle.json'), `${bundle}\n`)
  }
  await keepOnly(join(folder, INDEX_FOLDER), segments)
  if (record) await keepOnly(join(folder, RELEASES_FOLDER), new Set([`${record.release}.json`]))
}

function stateOf(source: ReleaseSource, partial: boolean): CheckoutFile {
  const { key, release, contentHash } = source.identity
  return { format: FORMAT, key, release, contentHash, complete: true, partial }
}

async function keepOnly(folder: string, names: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!names.has(name)) await rm(join(folder, name), { force: true })
  }
}
