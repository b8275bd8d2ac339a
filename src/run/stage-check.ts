import { type Dirent, lstatSync, readlinkSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { StageFile } from '../../schemas/index.ts'
import { formatFileState } from '../system/file-state.ts'
import { hashFile } from '../system/hash-file.ts'
import { parallel } from '../system/parallel.ts'

/** The file of a stage that says what the rest must be. */
export const STAGE_FILE = 'stage.json'
const SLICE = 512
const HASH_WIDTH = 8

export interface StageCheck {
  /** `stat`: every file had the state noted when it was hashed. `hashed`: at least one was hashed now. */
  readonly checked: 'hashed' | 'stat'
  /** What is missing, changed or extra: `changed "bundle/data/a.txt"`. Empty for a whole stage. */
  readonly faults: readonly string[]
  /** File states as they are now. */
  readonly state: Readonly<Record<string, string>>
}

type Wanted =
  | { readonly type: 'folder' }
  | { readonly type: 'link'; readonly target: string }
  | { readonly type: 'file'; readonly blake3: string; readonly executable: boolean }

/** Everything that must lie below a stage's folder, `stage.json` aside, by path. */
function stageContents(
  file: Pick<StageFile, 'entries' | 'manifest' | 'app' | 'expected'>,
): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>()
  const addFolders = (path: string) => {
    for (let at = path; at !== '.' && at !== '' && !wanted.has(at); at = parent(at))
      wanted.set(at, { type: 'folder' })
  }
  addFolders('bundle')
  addFolders('expected')
  for (const entry of file.entries) {
    const path = `bundle/${entry.path}`
    addFolders(parent(path))
    if (entry.type === 'folder') addFolders(path)
    else if (entry.type === 'link') wanted.set(path, { type: 'link', target: entry.target })
    else
      wanted.set(path, {
        type: 'file',
        blake3: entry.blake3,
        executable: entry.executable === true,
      })
  }
  const out = file.manifest.apps[file.app]?.out
  if (out !== undefined) addFolders(`bundle/${out}`)
  for (const blake3 of file.expected)
    wanted.set(`expected/${blake3}`, { type: 'file', blake3, executable: false })
  return wanted
}

const parent = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf('/')))

/** Looks whether a stage is as it was written. With `rehash` the noted file states count for nothing. */
export async function checkStage(
  folder: string,
  file: StageFile,
  options: { readonly rehash?: boolean; readonly signal?: AbortSignal } = {},
): Promise<StageCheck> {
  const wanted = stageContents(file)
  const faults: string[] = []
  const state: Record<string, string> = {}
  const seen = { present: new Set<string>(), replaced: new Set<string>() }
  await walk(folder, '', wanted, seen, faults)
  const doubtful: string[] = []
  await inSlices([...wanted], options.signal, ([path, want]) => {
    if (!seen.present.has(path)) {
      if (!seen.replaced.has(path)) faults.push(`missing "${path}"`)
    } else if (want.type === 'link') {
      if (readlinkSync(join(folder, path)) !== want.target) faults.push(`changed "${path}"`)
    } else if (want.type === 'file') {
      const now = formatFileState(lstatSync(join(folder, path), { bigint: true }))
      state[path] = now
      if (options.rehash || file.state[path] !== now) doubtful.push(path)
    }
  })
  const rehash = async (path: string) => {
    const want = wanted.get(path) as Wanted & { type: 'file' }
    const found = await hashFile(join(folder, path), options.signal)
    state[path] = found.state
    if (found.blake3 !== want.blake3 || found.executable !== want.executable)
      faults.push(`changed "${path}"`)
  }
  for await (const _ of parallel(doubtful, HASH_WIDTH, rehash));
  const checked = options.rehash || doubtful.length > 0 ? 'hashed' : 'stat'
  return { checked, faults: faults.sort(), state }
}

/** True while every file has the state noted: a look without reading, after a run. */
export async function isUnchanged(
  folder: string,
  file: Pick<StageFile, 'state'>,
): Promise<boolean> {
  let unchanged = true
  await inSlices(Object.entries(file.state), undefined, ([path, state]) => {
    const found = lstatSync(join(folder, path), { bigint: true, throwIfNoEntry: false })
    if (found === undefined || formatFileState(found) !== state) unchanged = false
  })
  return unchanged
}

/** Synchronous calls are the fastest way to look at many files; between slices others get their turn. */
async function inSlices<T>(
  items: readonly T[],
  signal: AbortSignal | undefined,
  look: (item: T) => void,
): Promise<void> {
  for (let at = 0; at < items.length; at += SLICE) {
    signal?.throwIfAborted()
    for (const item of items.slice(at, at + SLICE)) look(item)
    if (at + SLICE < items.length) await setImmediate()
  }
}

/** Notes what is there of what is wanted, and what is there and is not wanted or of another type. */
async function walk(
  root: string,
  folder: string,
  wanted: ReadonlyMap<string, Wanted>,
  seen: { readonly present: Set<string>; readonly replaced: Set<string> },
  faults: string[],
): Promise<void> {
  const below: Promise<void>[] = []
  for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (path === STAGE_FILE) continue
    const want = wanted.get(path)
    if (!want) faults.push(`extra "${path}"`)
    else if (typeOf(entry) !== want.type) {
      seen.replaced.add(path)
      faults.push(`changed "${path}"`)
    } else {
      seen.present.add(path)
      if (want.type === 'folder') below.push(walk(root, path, wanted, seen, faults))
    }
  }
  await Promise.all(below)
}

function typeOf(entry: Dirent): Wanted['type'] | null {
  if (entry.isDirectory()) return 'folder'
  if (entry.isSymbolicLink()) return 'link'
  return entry.isFile() ? 'file' : null
}
