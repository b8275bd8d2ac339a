import type { IndexEntry, WorkRecord } from '../../schemas/index.ts'
import { assertLinksInside } from '../core/link-tree.ts'
import { TreePool } from '../system/tree-pool.ts'
import { readPart } from './content-index.ts'
import { IMAGES_FOLDER } from './drive-paths.ts'
import { Findings, type VerifyResult } from './findings.ts'
import {
  assertComplete,
  type FolderRelease,
  openFolderRelease,
  readFolderSegment,
} from './folder-release.ts'
import { safeEntries } from './index-entries.ts'
import { LocalFiles } from './local-files.ts'
import { checkQuickly, type QuickCheck } from './quick-check.ts'

/**
 * Re-hashes a folder that `get` wrote, with no store and no peer: the record's signature, manifest, index, and each
 * file; names what is missing, changed or extra. Throws NOT_FOUND, PARTIAL for an interrupted `get`, SIGNATURE_INVALID, RECORD_INVALID, HASH_MISMATCH,
 * LINK_UNSAFE. No link is followed.
 */
export async function* verifyFolder(
  folder: string,
  signal?: AbortSignal,
): AsyncGenerator<WorkRecord, VerifyResult> {
  const release = await openFolderRelease(folder)
  const { partial } = release.state
  const selected = new Set(release.state.selected)
  assertComplete(folder, release.state)
  const found = new Findings(release)
  yield found.start()
  const quick = partial ? null : yield* quickly(release, found, signal)
  if (quick) found.add(quick)
  const known: IndexEntry[] = []
  let faults = 0
  const size = quick ? sizeLeft(quick) : release.manifest.index
  const pool = new TreePool(size.bytes, size.entries, true)
  const local = new LocalFiles(folder, pool)
  try {
    const entries = quick ? leftOver(release, quick) : release.entries()
    for await (const batch of local.compare(entries, signal ? { signal } : {})) {
      for (const { entry, local: state } of batch) {
        known.push(entry)
        if (state.is !== 'equal') faults++
        if (state.is === 'missing' && partial && !selected.has(entry.path)) continue
        if (state.is !== 'missing') found.count(entry)
        if (state.is === 'missing') yield found.report('missing', entry.path, 'is missing')
        else if (state.is === 'other') yield found.report('changed', entry.path, state.what)
      }
      yield* found.progress()
    }
  } finally {
    await pool.close()
  }
  assertLinksInside(known.filter(entry => entry.type === 'link'))
  if (!quick || faults > 0 || !isAll(quick, known)) {
    const paths = new Set(known.map(entry => entry.path))
    if (quick) for await (const { path } of release.entries()) paths.add(path)
    const parents = foldersAbove(paths)
    for (const item of local.walk(isOurs)) {
      if (paths.has(item.path) || (item.folder && parents.has(item.path))) continue
      yield found.report('extra', item.path, 'is not in the release')
    }
  }
  yield found.done()
  return found.result(partial)
}

/** Repro's own files beside a checkout, which the index does not cover. */
function isOurs(path: string): boolean {
  return (
    path.startsWith('.repro/') && path !== IMAGES_FOLDER && !path.startsWith(`${IMAGES_FOLDER}/`)
  )
}

function foldersAbove(paths: ReadonlySet<string>): Set<string> {
  const folders = new Set(['.repro'])
  for (const path of paths) {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const folder = path.slice(0, at)
      if (folders.has(folder)) break
      folders.add(folder)
    }
  }
  return folders
}

async function* quickly(
  release: FolderRelease,
  found: Findings,
  signal?: AbortSignal,
): AsyncGenerator<WorkRecord, QuickCheck | null> {
  const work = checkQuickly(release, isOurs, signal)
  try {
    for (;;) {
      const step = await work.next()
      if (step.done) return step.value
      yield* found.progress(step.value)
    }
  } finally {
    await work.return(null)
  }
}

function sizeLeft({ parts, large }: QuickCheck): { entries: number; bytes: number } {
  const left = { entries: large.length, bytes: 0 }
  for (const part of parts) left.entries += part.entries
  for (const { bytes } of parts) left.bytes += bytes
  for (const { size } of large) left.bytes += size
  return left
}

async function* leftOver(
  release: FolderRelease,
  { parts, large }: QuickCheck,
): AsyncGenerator<IndexEntry> {
  for (const part of parts)
    yield* safeEntries(readPart(part, hash => readFolderSegment(release.folder, hash)))
  yield* large
}

/** Whether nothing lies in a folder but what was found right. */
function isAll({ files, folders, listing }: QuickCheck, known: readonly IndexEntry[]): boolean {
  const others = known.filter(entry => entry.type !== 'folder').length
  if (listing.others !== files + others) return false
  const paths = known.map(entry => entry.path)
  const allowed = foldersAbove(new Set(paths))
  for (const { path, type } of known) if (type === 'folder') allowed.add(path)
  for (const folder of listing.folders)
    if (!folders.has(folder) && !allowed.has(folder)) return false
  return true
}
