import { lstat, lutimes, rm, rmdir, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { FileEntry, IndexEntry, WorkRecord } from '../../schemas/index.ts'
import { asReproError, fail } from '../core/errors.ts'
import type { OpenRelease } from '../core/home.ts'
import type { ReleaseSource } from '../core/release-source.ts'
import { parallel } from '../system/parallel.ts'
import { TreeWriter } from '../system/tree-writer.ts'
import { finishCheckout, startCheckout } from './checkout-files.ts'
import { type CheckoutPlan, planCheckout } from './checkout-plan.ts'
import { INDEX_FOLDER, RELEASES_FOLDER } from './drive-paths.ts'
import { readCheckoutState } from './folder-release.ts'
import { walkFolder } from './local-files.ts'
import { assertTwinsFit } from './path-twins.ts'

export interface CheckoutOptions {
  /** Which paths are wanted; all of them when absent. What an earlier checkout brought is kept up to date too. */
  readonly filter?: (path: string) => boolean
  /** Overwrites and removes what the user changed. */
  readonly force?: boolean
  readonly signal?: AbortSignal
}

export interface CheckoutResult {
  readonly folder: string
  readonly written: number
  readonly unchanged: number
  readonly removed: number
  readonly bytes: number
  readonly partial: boolean
}

const WRITES_AT_ONCE = 16
const PROGRESS_MS = 200

/**
 * Writes a release into a folder, with what `verifyFolder` needs beside it. What is already there and right is left
 * alone, so an interrupted checkout is finished by repeating it. Throws TARGET_CHANGED before anything is touched when
 * the user changed something that would be replaced; PATH_UNSAFE, LINK_UNSAFE, HASH_MISMATCH, NO_PEER, DISK_FULL.
 */
export async function* checkoutRelease(
  source: ReleaseSource | OpenRelease,
  folder: string,
  options: CheckoutOptions = {},
): AsyncGenerator<WorkRecord, CheckoutResult> {
  try {
    return yield* checkout(source, folder, options)
  } catch (error) {
    throw asReproError(error)
  }
}

async function* checkout(
  source: ReleaseSource | OpenRelease,
  folder: string,
  options: CheckoutOptions,
): AsyncGenerator<WorkRecord, CheckoutResult> {
  const { signal } = options
  const writer = new TreeWriter(folder)
  const state = await readCheckoutState(folder)
  if (state && state.key !== source.identity.key && !options.force)
    fail('TARGET_CHANGED', `"${folder}" holds a release of another bundle, "${state.key}"`, {
      hints: ['fetch to another folder, or replace what is there with --force'],
    })
  if (state && !state.complete) await sweepTemporaries(folder)
  const plan = await planCheckout(source, folder, state, options)
  await writer.writeFolder('.repro')
  await assertTwinsFit(join(folder, '.repro'), plan.selected)
  if (plan.conflicts.length > 0 && !options.force) {
    for (const { path, what } of plan.conflicts)
      yield { action: 'write', status: 'error', subject: path, message: what }
    refuse(folder, plan)
  }
  await writer.writeFolder(INDEX_FOLDER)
  if ('record' in source) await writer.writeFolder(RELEASES_FOLDER)
  const segments = await startCheckout(folder, source, state, plan)
  const files = plan.write.filter((entry): entry is FileEntry => entry.type === 'file')
  let bytes = 0
  try {
    yield* source.fetch(files, signal)
    for (const path of plan.remove) await removeFile(folder, path)
    bytes = yield* writeEntries(source, writer, plan.write, signal)
  } catch (error) {
    yield { action: 'note', subject: folder, message: `"${folder}" is incomplete` }
    throw error
  }
  await finishCheckout(folder, source, plan, segments)
  const result = {
    folder,
    written: plan.write.length,
    unchanged: plan.unchanged,
    removed: plan.remove.length,
    bytes,
    partial: plan.partial,
  }
  yield { action: 'write', status: 'ok', subject: folder, files: files.length, bytes, data: result }
  return result
}

async function* writeEntries(
  source: ReleaseSource,
  writer: TreeWriter,
  entries: readonly IndexEntry[],
  signal: AbortSignal | undefined,
): AsyncGenerator<WorkRecord, number> {
  const date = source.identity.date === null ? new Date() : new Date(source.identity.date)
  const totalBytes = entries.reduce((sum, one) => sum + (one.type === 'file' ? one.size : 0), 0)
  let bytes = 0
  let files = 0
  let shown = 0
  const write = async (entry: IndexEntry) => {
    signal?.throwIfAborted()
    if (entry.type === 'folder') {
      await writer.writeFolder(entry.path)
      return 0
    }
    if (entry.type === 'link') await writer.writeLink(entry)
    else await writer.writeFile(entry, source.read(entry, signal), signal)
    await lutimes(join(writer.root, entry.path), date, date)
    return entry.type === 'file' ? entry.size : 0
  }
  for await (const size of parallel(entries, WRITES_AT_ONCE, write)) {
    bytes += size
    files++
    if (Date.now() - shown < PROGRESS_MS) continue
    shown = Date.now()
    const totals = { totalBytes, totalFiles: entries.length }
    yield { action: 'progress', subject: 'write', bytes, files, ...totals }
  }
  return bytes
}

/** Removes a file or link of an earlier release, and folders that are empty then. */
async function removeFile(folder: string, path: string): Promise<void> {
  await unlink(join(folder, path)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  for (let above = dirname(path); above !== '.'; above = dirname(above)) {
    const gone = await rmdir(join(folder, above)).then(
      () => true,
      () => false,
    )
    if (!gone) return
  }
}

/** Takes away half-written files of an interrupted checkout. */
async function sweepTemporaries(folder: string): Promise<void> {
  for await (const { path, folder: isFolder } of walkFolder(folder, () => false)) {
    if (isFolder || !/(^|\/)\.[^/]+\.[0-9]+\.[0-9a-f]{12}\.tmp$/.test(path)) continue
    const stats = await lstat(join(folder, path))
    if (stats.isFile() || stats.isSymbolicLink()) await rm(join(folder, path), { force: true })
  }
}

function refuse(folder: string, plan: CheckoutPlan): never {
  const { conflicts } = plan
  fail(
    'TARGET_CHANGED',
    `${conflicts.length === 1 ? `"${conflicts[0]!.path}"` : `${conflicts.length} files`} in "${folder}" would be overwritten, and ${conflicts.length === 1 ? 'is' : 'are'} not as the last fetch wrote ${conflicts.length === 1 ? 'it' : 'them'}`,
    {
      hints: [
        'fetch to another folder, or move your changes away',
        'to replace them, repeat the command with --force',
      ],
      data: { paths: conflicts.slice(0, 100).map(one => one.path) },
    },
  )
}
