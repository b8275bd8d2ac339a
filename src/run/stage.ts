import { chmod, mkdir, rename, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { FileEntry, IndexEntry, StageFile, WorkRecord } from '../../schemas/index.ts'
import { type AppClosure, appClosure } from '../core/app-closure.ts'
import { fail, ReproError } from '../core/errors.ts'
import { assertLinksInside } from '../core/link-tree.ts'
import type { ReleaseSource } from '../core/release-source.ts'
import { syncFolder } from '../system/atomic-file.ts'
import { makeScratchFolder } from '../system/scratch-folder.ts'
import { TreePool } from '../system/tree-pool.ts'
import { filesToWrite, TreeWriter } from '../system/tree-writer.ts'
import { closureEntries } from './closure-prefixes.ts'
import { openStage, type Stage, writeStageFile } from './open-stage.ts'
import { assertRoom } from './room.ts'
import { stageImage } from './stage-image.ts'

export interface StageOptions {
  readonly cache: string
  readonly rehash?: boolean
  /** False leaves the app's image where it is: for a run on the host itself. */
  readonly image?: boolean
  readonly signal?: AbortSignal
}

/** Where the stage of an app of a release lies: equal content has one stage, whoever published it. */
export function stageFolder(cache: string, contentHash: string, app: string): string {
  return join(cache, 'stages', `${contentHash.replace('blake3:', '')}-${app}`)
}

/**
 * Brings what one app needs, and nothing else, into a folder that can be executed. A stage that is there and whole is
 * used again; a damaged one is replaced. Nothing is seen under the stage's name before every byte was checked.
 * Throws APP_UNKNOWN, NO_PEER, PEER_DISHONEST, HASH_MISMATCH, LINK_UNSAFE, DISK_FULL, IMAGE_INVALID,
 * INTERRUPTED.
 */
export async function* stageRelease(
  source: ReleaseSource,
  appName: string,
  options: StageOptions,
): AsyncGenerator<WorkRecord, Stage> {
  const closure = appClosure(source.manifest, appName)
  const folder = stageFolder(options.cache, source.identity.contentHash, appName)
  const there = yield* reuse(folder, source, options)
  if (there) return there
  yield { action: 'stage', status: 'start', subject: appName }
  const entries = await closureEntries(source, closure, options.signal)
  const parts = partition(closure, entries)
  assertLinksInside(parts.inputs)
  const bytes = sumBytes(parts.inputs) + sumBytes(parts.expected)
  await assertRoom(options.cache, bytes)
  const files = [...parts.inputs, ...parts.expected].filter(e => e.type === 'file')
  yield* source.fetch(files, options.signal)
  const scratch = await makeScratchFolder(options.cache, 'stage')
  try {
    const state = yield* writeFiles(source, closure, parts, scratch, bytes, options.signal)
    const rootfs =
      options.image === false ? null : yield* stageImage(source, closure, parts.image, options)
    const file: StageFile = {
      format: 0,
      key: source.identity.key,
      release: source.identity.release,
      tag: source.identity.tag,
      contentHash: source.identity.contentHash,
      app: appName,
      manifest: source.manifest,
      entries: [...parts.inputs],
      expected: [...new Set(parts.expected.map(e => e.blake3))],
      state,
      rootfs: rootfs && { ...rootfs, path: relative(folder, rootfs.path) },
    }
    await writeStageFile(scratch, file)
    await chmod(scratch, 0o755)
    const faster = await replaceFolder(scratch, folder, () => whole(folder, options))
    if (faster) return faster
    yield { action: 'stage', status: 'ok', subject: appName, files: files.length, bytes }
    return { folder, file, rootfs: rootfs?.path ?? null, checked: 'hashed' }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function* reuse(
  folder: string,
  source: ReleaseSource,
  options: StageOptions,
): AsyncGenerator<WorkRecord, Stage | null> {
  try {
    const stage = await openStage(folder, options)
    yield { action: 'stage', status: 'unchanged', subject: stage.file.app }
    const { key, release, tag } = source.identity
    // The stage stays as it is: other releases of equal content use it at the same time.
    return { ...stage, file: { ...stage.file, key, release, tag } }
  } catch (error) {
    if (!(error instanceof ReproError) || error.code === 'INTERRUPTED') throw error
    if (error.code !== 'NOT_FOUND')
      yield { action: 'warning', subject: folder, message: `${error.message}: staging again` }
    return null
  }
}

interface Parts {
  readonly inputs: readonly IndexEntry[]
  readonly expected: readonly FileEntry[]
  readonly image: readonly FileEntry[]
}

function partition(closure: AppClosure, entries: readonly IndexEntry[]): Parts {
  const files = entries.filter(entry => entry.type === 'file')
  const wanted = new Map(
    closure.app.outputs.flatMap(output =>
      'expect' in output && output.expect?.path ? [[output.expect.path, output]] : [],
    ),
  )
  const expected = files.filter(file => closure.isExpected(file.path))
  for (const [path, output] of wanted) {
    const file = expected.find(entry => entry.path === path)
    if (!file || file.blake3 !== output.expect!.blake3)
      fail(
        'RECORD_INVALID',
        `the output "${output.path}" is expected to be "${path}", which the release ${file ? 'holds with another hash' : 'does not hold'}`,
      )
  }
  return {
    inputs: entries.filter(entry => closure.isInput(entry.path)),
    expected,
    image: files.filter(file => closure.isImage(file.path)),
  }
}

async function* writeFiles(
  source: ReleaseSource,
  closure: AppClosure,
  parts: Parts,
  folder: string,
  totalBytes: number,
  signal?: AbortSignal,
): AsyncGenerator<WorkRecord, Record<string, string>> {
  const bundle = new TreeWriter(join(folder, 'bundle'))
  const expected = new TreeWriter(join(folder, 'expected'))
  await Promise.all([bundle, expected].map(tree => mkdir(tree.root, { mode: 0o755 })))
  bundle.writeFolder(closure.app.out)
  for (const entry of parts.inputs) {
    signal?.throwIfAborted()
    if (entry.type === 'link') await bundle.writeLink(entry)
    else if (entry.type === 'folder') bundle.writeFolder(entry.path)
  }
  const inputs = parts.inputs.filter(entry => entry.type === 'file')
  const unique = [...new Map(parts.expected.map(entry => [entry.blake3, entry])).values()]
  const pool = new TreePool(totalBytes, inputs.length + unique.length)
  const state: Record<string, string> = {}
  let bytes = 0
  const writeAll = async function* (
    tree: TreeWriter,
    folder: 'bundle' | 'expected',
    files: readonly FileEntry[],
    place: (file: FileEntry) => FileEntry,
  ): AsyncGenerator<WorkRecord> {
    const located = filesToWrite(source, files, place, signal)
    for await (const written of tree.writeFiles(located, { pool, mtime: null, signal })) {
      for (const { entry, state: found } of written) {
        state[`${folder}/${entry.path}`] = found
        bytes += entry.size
      }
      yield { action: 'progress', subject: closure.name, bytes, totalBytes }
    }
  }
  try {
    yield* writeAll(bundle, 'bundle', inputs, file => file)
    yield* writeAll(expected, 'expected', unique, ({ executable: _, ...file }) => ({
      ...file,
      path: file.blake3,
    }))
  } finally {
    await pool.close()
  }
  return state
}

const whole = (folder: string, options: StageOptions) =>
  openStage(folder, options).catch(error => {
    if (error instanceof ReproError) return null
    throw error
  })

/**
 * Puts a finished folder under its name. What is there already is used, and returned, when it is whole
 * (another process was faster), and removed when it is damaged.
 */
async function replaceFolder(
  from: string,
  to: string,
  look: () => Promise<Stage | null>,
): Promise<Stage | null> {
  await mkdir(join(to, '..'), { recursive: true, mode: 0o755 })
  for (let attempt = 0; ; attempt++) {
    try {
      await rename(from, to)
      await syncFolder(join(to, '..'))
      return null
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if ((code !== 'ENOTEMPTY' && code !== 'EEXIST') || attempt === 3) throw error
      const there = await look()
      if (there) return there
      const old = `${from}.old${attempt}`
      await rename(to, old).catch((e: NodeJS.ErrnoException) => {
        if (e.code !== 'ENOENT') throw e
      })
      await rm(old, { recursive: true, force: true })
    }
  }
}

const sumBytes = (entries: readonly IndexEntry[]) =>
  entries.reduce((sum, entry) => sum + (entry.type === 'file' ? entry.size : 0), 0)
