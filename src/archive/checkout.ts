import { lstatSync } from 'node:fs'
import { lstat, rm, rmdir, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { FileEntry, IndexEntry, WorkRecord } from '../../schemas/index.ts'
import { asReproError, fail } from '../core/errors.ts'
import type { OpenRelease } from '../core/home.ts'
import type { ReleaseSource } from '../core/release-source.ts'
import { TreePool } from '../system/tree-pool.ts'
import { filesToWrite, TreeWriter } from '../system/tree-writer.ts'
import { finishCheckout, startCheckout } from './checkout-files.ts'
import { type CheckoutPlan, planCheckout } from './checkout-plan.ts'
import { INDEX_FOLDER, RELEASES_FOLDER } from './drive-paths.ts'
import { FileNotes, type NotesToWrite, readFileNotes } from './file-notes.ts'
import { readCheckoutState } from './folder-release.ts'
import { LocalFiles } from './local-files.ts'
import { assertTwinsFit } from './path-twins.ts'
import { keepSegments } from './segments.ts'

export interface CheckoutOptions {
  /** Which paths are wanted; all of them when absent. What an earlier checkout brought is kept up to date too. */
  readonly filter?: (path: string) => boolean
  /** Overwrites and removes what the user changed. */
  readonly force?: boolean
  /** Reads what is there already, whatever was noted of it when it was written. */
  readonly rehash?: boolean
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
  const pool = new TreePool(source.manifest.index.bytes, source.manifest.index.entries)
  try {
    return yield* checkoutWith(pool, source, folder, options)
  } finally {
    await pool.close()
  }
}

async function* checkoutWith(
  pool: TreePool,
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
  if (state && !state.complete) await sweepTemporaries(folder, pool)
  const known = state ? readFileNotes(folder) : new FileNotes()
  const index = keepSegments(source)
  const local = new LocalFiles(folder, pool, known, options.rehash)
  const plan = await planCheckout(source, index.entries(), folder, state, local, options)
  writer.writeFolder('.repro')
  await assertTwinsFit(join(folder, '.repro'), plan.selected)
  if (plan.conflicts.length > 0 && !options.force) {
    for (const { path, what } of plan.conflicts)
      yield { action: 'write', status: 'error', subject: path, message: what }
    refuse(folder, plan)
  }
  writer.writeFolder(INDEX_FOLDER)
  if ('record' in source) writer.writeFolder(RELEASES_FOLDER)
  const texts = await index.texts()
  await startCheckout(folder, source, state, plan, { writer, pool, texts })
  const files = plan.write.filter((entry): entry is FileEntry => entry.type === 'file')
  let bytes = 0
  try {
    yield* source.fetch(files, signal)
    for (const path of plan.remove) await removeFile(folder, path)
    bytes = yield* writeEntries(source, writer, pool, plan.write, plan.notes, signal)
  } catch (error) {
    yield { action: 'note', subject: folder, message: `"${folder}" is incomplete` }
    throw error
  }
  await plan.notes.write(folder)
  await finishCheckout(folder, source, plan, texts)
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
  pool: TreePool,
  entries: readonly IndexEntry[],
  notes: NotesToWrite,
  signal: AbortSignal | undefined,
): AsyncGenerator<WorkRecord, number> {
  const mtime = source.identity.date === null ? new Date() : new Date(source.identity.date)
  const files = entries.filter((entry): entry is FileEntry => entry.type === 'file')
  const totals = {
    totalBytes: files.reduce((sum, one) => sum + one.size, 0),
    totalFiles: entries.length,
  }
  for (const entry of entries) {
    if (entry.type === 'folder') writer.writeFolder(entry.path)
    else if (entry.type === 'link') await writer.writeLink(entry, mtime)
  }
  let bytes = 0
  let count = entries.length - files.length
  let shown = 0
  const how = { pool, mtime, signal }
  for await (const written of writer.writeFiles(
    filesToWrite(source, files, file => file, signal),
    how,
  )) {
    for (const { entry, state } of written) {
      bytes += entry.size
      count++
      notes.add(entry.path, { blake3: entry.blake3, state })
    }
    if (Date.now() - shown < PROGRESS_MS) continue
    shown = Date.now()
    yield { action: 'progress', subject: 'write', bytes, files: count, ...totals }
  }
  return bytes
}

/** Removes a file or link of an earlier release, and folders that are empty then. */
async function removeFile(folder: string, path: string): Promise<void> {
  if (!isBelow(folder, path)) return
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

/** Whether every folder between is one and no link, just now: nothing is removed through a link. */
function isBelow(folder: string, path: string): boolean {
  for (let above = dirname(path); above !== '.'; above = dirname(above)) {
    const stats = lstatSync(join(folder, above), { throwIfNoEntry: false })
    if (!stats?.isDirectory()) return false
  }
  return true
}

/** Takes away half-written files of an interrupted checkout. */
async function sweepTemporaries(folder: string, pool: TreePool): Promise<void> {
  for (const { path, folder: isFolder } of new LocalFiles(folder, pool).walk()) {
    if (isFolder || !/(^|\/)\.[^/]+\.[0-9]+\.[0-9a-f]{12}\.tmp$/.test(path)) continue
    const stats = await lstat(join(folder, path))
    if (!isBelow(folder, path)) continue
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
