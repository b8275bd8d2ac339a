import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type CheckoutFile,
  checkoutFile,
  type FileEntry,
  type IndexEntry,
  type Manifest,
  type ReleaseRecord,
} from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import type { LocatedFile, ReleaseIdentity, ReleaseSource } from '../core/release-source.ts'
import { readRegular } from '../system/regular-file.ts'
import { readIndex } from './content-index.ts'
import { MANIFEST_PATH, recordPath, segmentPath } from './drive-paths.ts'
import { safeEntries } from './index-entries.ts'
import {
  MAX_CHECKOUT_BYTES,
  MAX_MANIFEST_BYTES,
  MAX_RECORD_BYTES,
  MAX_SEGMENT_BYTES,
} from './limits.ts'
import { parseManifest } from './release-manifest.ts'
import { checkRecord } from './release-record.ts'

export const CHECKOUT_PATH = '.repro/checkout.json'

/** A release as it lies in a folder that `get` wrote: works with no store and no peer. */
export interface FolderRelease extends ReleaseSource {
  readonly folder: string
  readonly state: CheckoutFile
  /** Its signature was checked; null when the release was never published. */
  readonly record: ReleaseRecord | null
}

/** What `get` noted in a folder, or null when it wrote none. Throws RECORD_INVALID. */
export async function readCheckoutState(folder: string): Promise<CheckoutFile | null> {
  const bytes = readRegular(join(folder, CHECKOUT_PATH), MAX_CHECKOUT_BYTES)
  if (!bytes) return null
  const parsed = checkoutFile.safeParse(parseJson(bytes))
  if (!parsed.success)
    fail('RECORD_INVALID', `"${join(folder, CHECKOUT_PATH)}" is damaged`, {
      hints: ['fetch the release again into another folder'],
    })
  return parsed.data
}

/**
 * Opens the release beside which a folder's files lie, checking manifest and record signature.
 * Throws NOT_FOUND, PARTIAL, RECORD_INVALID, SIGNATURE_INVALID, HASH_MISMATCH, FORMAT_UNSUPPORTED.
 */
export async function openFolderRelease(folder: string): Promise<FolderRelease> {
  const state = await readCheckoutState(folder)
  const bytes = readRegular(join(folder, MANIFEST_PATH), MAX_MANIFEST_BYTES)
  if (state && !bytes) assertComplete(folder, state)
  if (!state || !bytes)
    fail('NOT_FOUND', `"${folder}" holds no fetched release`, {
      hints: ['fetch one with: repro get <key> <folder>'],
    })
  const record = state.release === null ? null : await readRecord(folder, state.release, state)
  return new CheckedFolder(folder, state, record, bytes, record?.contentHash ?? state.contentHash)
}

/** The text of an index segment beside a checkout, not yet checked; null when it is not there. */
export async function readFolderSegment(folder: string, blake3: string): Promise<string | null> {
  if (!/^[0-9a-f]{64}$/.test(blake3)) return null
  const bytes = readRegular(join(folder, segmentPath(blake3)), MAX_SEGMENT_BYTES)
  return bytes?.toString('utf8') ?? null
}

/** Throws PARTIAL when `get` was interrupted before all was written into the folder. */
export function assertComplete(folder: string, { complete, key, release }: CheckoutFile): void {
  if (complete) return
  const ref = key === null ? '<key>' : release === null ? key : `${key}@${release}`
  fail('PARTIAL', `"${folder}" is incomplete: fetching into it was interrupted`, {
    hints: [`repro get ${ref} ${folder}`],
    data: { folder, key, release },
  })
}

async function readRecord(
  folder: string,
  release: number,
  state: CheckoutFile,
): Promise<ReleaseRecord> {
  const path = join(folder, recordPath(release))
  const bytes = readRegular(path, MAX_RECORD_BYTES)
  if (!bytes) fail('RECORD_INVALID', `the release record "${path}" is missing`)
  const expected = { release, ...(state.key === null ? {} : { key: state.key }) }
  return await checkRecord(bytes.toString('utf8'), expected)
}

class CheckedFolder implements FolderRelease {
  readonly folder: string
  readonly state: CheckoutFile
  readonly record: ReleaseRecord | null
  readonly identity: ReleaseIdentity
  readonly manifest: Manifest
  readonly manifestText: string

  constructor(
    folder: string,
    state: CheckoutFile,
    record: ReleaseRecord | null,
    bytes: Buffer,
    contentHash: string,
  ) {
    this.folder = folder
    this.state = state
    this.record = record
    this.manifest = parseManifest(bytes, contentHash)
    this.manifestText = bytes.toString('utf8')
    this.identity = {
      key: record?.key ?? null,
      release: record?.release ?? null,
      tag: record?.tag ?? null,
      contentHash,
      date: record?.date ?? null,
    }
  }

  async *entries(prefix?: string): AsyncGenerator<IndexEntry> {
    yield* safeEntries(readIndex(this.manifest.index, hash => this.segment(hash), prefix))
  }

  async segment(blake3: string): Promise<string | null> {
    return await readFolderSegment(this.folder, blake3)
  }

  async *fetch(files: readonly FileEntry[]): AsyncGenerator<never> {
    for (const file of files) {
      const stats = await lstat(join(this.folder, file.path)).catch(() => null)
      if (!stats?.isFile())
        fail('NOT_FOUND', `"${file.path}" is not in "${this.folder}"`, {
          hints: ['fetch it again with: repro get <key> <folder>'],
        })
    }
  }

  async *extents(files: readonly FileEntry[]): AsyncGenerator<readonly LocatedFile[]> {
    yield files.map(file => ({
      file,
      extents: [{ path: join(this.folder, file.path), offset: 0, length: file.size }],
    }))
  }

  async *read(file: FileEntry, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const path = join(this.folder, file.path)
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      for await (const chunk of handle.createReadStream({ highWaterMark: 1 << 20 })) {
        signal?.throwIfAborted()
        yield chunk as Buffer
      }
    } finally {
      await handle.close().catch(() => undefined)
    }
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return null
  }
}
