import { access } from 'node:fs/promises'
import { join } from 'node:path'
import type { WorkRecord } from '../../../schemas/index.ts'
import type { VerifyResult } from '../../archive/findings.ts'
import { CHECKOUT_PATH, readCheckoutState } from '../../archive/folder-release.ts'
import { RECORDS } from '../../archive/housekeeping/repair-bundle.ts'
import { repairFolderFiles, repairFolderRecords } from '../../archive/housekeeping/repair-folder.ts'
import { isDamage, storeError } from '../../archive/store-errors.ts'
import { verifyFolder } from '../../archive/verify-folder.ts'
import { readBundleFile } from '../../author/bundle-file.ts'
import { fail, ReproError } from '../../core/errors.ts'
import type { OpenRelease } from '../../core/home.ts'
import type { Repair } from '../../core/housekeeping.ts'
import { type KeyReference, parseReference } from '../../core/reference.ts'
import type { Settings } from '../../core/settings.ts'
import { Housekeeper } from '../housekeeper.ts'
import { streamOf } from '../stream-of.ts'
import { withHome } from './open-source.ts'

export type { Repair } from '../../core/housekeeping.ts'

export interface Repaired {
  /** Each thing that was damaged, and whether it is right now. */
  readonly repairs: readonly Repair[]
  /** How release or folder are afterwards. */
  readonly after: VerifyResult
}

export interface RepairOptions {
  readonly signal?: AbortSignal
}

/**
 * Verifies a stored release, or a folder that `get` wrote, and puts right what is damaged: blocks of the store from
 * peers, files of a folder from the store or from peers. Nothing is given up that cannot be had again, and what a person
 * changed is left alone. Safe to kill and to repeat. Throws what verifying throws, and USAGE for an author's folder.
 */
export async function* repair(
  settings: Settings,
  target: string,
  options: RepairOptions = {},
): AsyncGenerator<WorkRecord, Repaired> {
  const reference = parseReference(target)
  if (reference.kind === 'folder') return yield* repairFolder(settings, reference.path, options)
  const housekeeper = await Housekeeper.open(settings)
  try {
    return yield* repairStored(housekeeper, await housekeeper.resolve(reference), options)
  } catch (error) {
    throw isDamage(error) ? storeError(error, target) : error
  } finally {
    await housekeeper.close()
  }
}

export interface RebuiltIndex {
  readonly key: string
  /** How many blocks the index knows now. */
  readonly blocks: number
}

/** Makes the block index of an own bundle anew. Throws NOT_FOUND, KEY_NOT_WRITABLE, STORE_BUSY. */
export async function repairIndex(
  settings: Settings,
  ref: string,
  { signal }: RepairOptions = {},
): Promise<RebuiltIndex> {
  const housekeeper = await Housekeeper.open(settings)
  try {
    const { key } = await housekeeper.resolve(parseReference(ref))
    await housekeeper.keeper.assertKnown(key)
    return { key, blocks: await housekeeper.keeper.rebuildIndex(key, signal) }
  } finally {
    await housekeeper.close()
  }
}

async function* repairStored(
  housekeeper: Housekeeper,
  { key, ...selection }: KeyReference,
  { signal }: RepairOptions,
): AsyncGenerator<WorkRecord, Repaired> {
  const { home, network } = housekeeper.settings
  const bundle = await housekeeper.keeper.repairable(key)
  return yield* streamOf(async emit => {
    const { repairRelease } = await import('../../archive/housekeeping/repair-bundle.ts')
    const work = repairRelease(bundle, selection, {
      home,
      stallMs: network.waitMs,
      connect: async () => {
        emit({ action: 'connect', status: 'start', subject: key, message: 'looking for peers' })
        return await housekeeper.findPeer(key, signal, emit)
      },
      ...(signal ? { signal } : {}),
    })
    for (;;) {
      const step = await work.next()
      if (step.done) return step.value
      emit(step.value)
    }
  })
}

async function* repairFolder(
  settings: Settings,
  folder: string,
  { signal }: RepairOptions,
): AsyncGenerator<WorkRecord, Repaired> {
  const found = await identify(folder)
  const first = yield* look(folder, signal)
  if (first !== null && first.changed.length + first.missing.length === 0)
    return { repairs: [], after: first }
  const repairs: Repair[] = []
  yield* withRelease(settings, found, signal, async function* (release) {
    let before = first
    if (before === null) {
      await repairFolderRecords(folder, release)
      repairs.push({ what: RECORDS, blocks: 0, repaired: true })
      before = yield* verifyFolder(folder, signal)
    }
    const paths = new Set([...before.changed, ...before.missing])
    repairs.push(...(yield* repairFolderFiles(folder, release, paths, signal)))
  })
  return { repairs, after: yield* verifyFolder(folder, signal) }
}

/** What verifying finds; null when not even the notes beside the files are sound. */
async function* look(
  folder: string,
  signal?: AbortSignal,
): AsyncGenerator<WorkRecord, VerifyResult | null> {
  try {
    return yield* verifyFolder(folder, signal)
  } catch (error) {
    if (!(error instanceof ReproError) || !NOTES_DAMAGED.has(error.code)) throw error
    yield { action: 'verify', status: 'warn', subject: RECORDS, message: error.message }
    return null
  }
}

const NOTES_DAMAGED: ReadonlySet<string> = new Set([
  'RECORD_INVALID',
  'SIGNATURE_INVALID',
  'HASH_MISMATCH',
  'NOT_FOUND',
])

/** Which release a folder is a copy of, by either of the two files that say so. */
async function identify(folder: string): Promise<KeyReference> {
  const state = await readCheckoutState(folder).catch(() => null)
  const noted = await readBundleFile(folder).catch(() => null)
  const from = state?.release ? state : noted
  if (noted !== null && !(await wasFetched(folder)))
    fail('USAGE', `"${folder}" is the folder that was published: it is what copies are made of`, {
      hints: [`to see it as it was published: repro get ${noted.key}@${noted.release} <dir>`],
    })
  if (!from?.key || !from.release)
    fail('NOT_FOUND', `"${folder}" does not say which release it is a copy of`, {
      hints: ['fetch the release into another folder: repro get <key> <dir>'],
    })
  const { key, release, contentHash } = from
  return {
    kind: 'key',
    key,
    release,
    ...(contentHash === undefined ? {} : { hash: contentHash as `blake3:${string}` }),
  }
}

async function wasFetched(folder: string): Promise<boolean> {
  return await access(join(folder, CHECKOUT_PATH)).then(
    () => true,
    () => false,
  )
}

/** The release of the store, or of peers. */
async function* withRelease(
  settings: Settings,
  ref: KeyReference,
  signal: AbortSignal | undefined,
  work: (release: OpenRelease) => AsyncGenerator<WorkRecord, void>,
): AsyncGenerator<WorkRecord, void> {
  yield* withHome(settings, async function* (home) {
    const how = { network: 'missing', history: 'cheap', ...(signal ? { signal } : {}) } as const
    const release = yield* streamOf(emit => home.open(ref, { ...how, onRecord: emit }))
    try {
      yield* work(release)
    } finally {
      await release.close()
    }
  })
}
