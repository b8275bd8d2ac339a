import { lstat, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import type { IndexEntry, WorkRecord } from '../../schemas/index.ts'
import { comparePaths } from '../core/archive-path.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { fail } from '../core/errors.ts'
import type { ManifestFile } from '../core/manifest-file.ts'
import type { PreparedBundle } from '../core/prepared-bundle.ts'
import { count } from '../core/text.ts'
import { blake3 } from '../system/blake3.ts'
import { formatFileState } from '../system/file-state.ts'
import { FolderReader } from '../system/folder-reader.ts'
import { type AuthorFault, type AuthorRemark, formatRemark, throwFaults } from './faults.ts'
import { foreseeFaults } from './foresee.ts'
import { changed, hashTree } from './hash-tree.ts'
import { imageSourcePaths } from './image-source.ts'
import { imageTreeFiles, prepareImages, resolvedImages } from './images.ts'
import { keepKnown, openKnown } from './known-files.ts'
import type { PrepareOptions, Survey } from './prepare-options.ts'
import { preparedBundle } from './prepared.ts'
import { MANIFEST_NAME, readManifestFile } from './read-manifest.ts'
import { readRecorded, staleExpectations } from './recorded.ts'
import { completeManifest, outsOf, resolveManifest } from './resolve-manifest.ts'
import { findSecrets } from './secrets.ts'
import { TreeIndex } from './tree-index.ts'
import { type Tree, type TreeFile, walkTree } from './walk.ts'

/**
 * Makes a folder ready: walks it, imports its images, hashes what changed since it was hashed last, and resolves the
 * manifest. Writes nothing into the author's tree but `.repro/`, and stores nothing but what `ingest` does: that is called
 * when all was checked that needs no hash. Throws MANIFEST_MISSING, MANIFEST_INVALID, PATH_UNSAFE, LINK_UNSAFE,
 * FILE_UNSUPPORTED, SECRET_FOUND, READ_FAILED, SOURCE_CHANGED, EXPECTATION_STALE, what images throw, INTERRUPTED.
 */
export async function* prepareBundle(
  folder: string,
  options: PrepareOptions,
): AsyncGenerator<WorkRecord, PreparedBundle> {
  const { signal, ingest } = options
  const publishing = options.purpose === 'publish'
  const { root, known, file, tree } = await (options.survey ?? surveyFolder(folder, options))
  const allowed = file.manifest.allowSecrets ?? []
  const secrets = publishing ? await findSecrets(tree.files, allowed, { known, signal }) : []
  throwFaults([...tree.faults, ...secrets])
  yield* warn([...manifestWarnings(file), ...tree.warnings])

  const images = yield* prepareImages(root, file, options)
  const resolved = resolvedImages(images)
  if (publishing)
    throwFaults(await foreseeFaults({ root, file, tree, images: resolved, known, signal }))
  const files = [...tree.files, ...(await imageTreeFiles(images))]
  const hashed = yield* hashTree(files, { known, signal, ...(ingest ? { ingest } : {}) })
  const index = new TreeIndex(known, files, tree, () => sortEntries(hashed.entries(), tree))

  yield { action: 'index', status: 'start' }
  const entries = () => index.entries
  const manifest = resolveManifest({ file, images: resolved, entries, lenient: !publishing })
  const stale = staleExpectations(manifest, await readRecorded(root))
  if (publishing) throwFaults(stale)
  else yield* warn(stale)
  const complete = completeManifest(manifest, index.root)
  const manifestText = canonicalJson(complete)
  if (hashed.read > 0) await assertUnchanged(files, signal)
  yield* keepKnown(known, files, index.memo)
  yield { action: 'index', status: 'ok', message: `indexed ${count('file', index.root.files)}` }
  const contentHash = `blake3:${blake3(manifestText)}`
  return preparedBundle({ manifest: complete, manifestText, contentHash, index, files })
}

/** The real path of an author's folder. Throws NOT_FOUND, READ_FAILED. */
export async function openFolder(folder: string): Promise<string> {
  const root = await realpath(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')
      fail('NOT_FOUND', `there is no folder "${folder}"`, { cause })
    return fail('READ_FAILED', `cannot read the folder "${folder}": ${cause.message}`, { cause })
  })
  if (!(await lstat(root)).isDirectory()) fail('NOT_FOUND', `"${folder}" is no folder`)
  return root
}

/**
 * The first look at a folder: its manifest and what lies in it. Throws NOT_FOUND, READ_FAILED, MANIFEST_MISSING,
 * MANIFEST_INVALID, INTERRUPTED; faults of the tree are in it.
 */
export async function surveyFolder(
  folder: string,
  options: Pick<PrepareOptions, 'settings' | 'rehash' | 'now' | 'signal'>,
): Promise<Survey> {
  const root = await openFolder(folder)
  const known = await openKnown(root, options)
  const file = await readManifestFile(join(root, MANIFEST_NAME), MANIFEST_NAME)
  return { root, known, file, tree: await walkFolder(root, file, options.signal) }
}

/** Walks a folder as its manifest wants it. */
export async function walkFolder(
  root: string,
  { manifest }: ManifestFile,
  signal?: AbortSignal,
): Promise<Tree> {
  return await walkTree(root, {
    exclude: manifest.exclude ?? [],
    outs: outsOf(manifest),
    imageSources: await imageSourcePaths(root, manifest),
    signal,
  })
}

/** The warnings of a manifest in the words of this room. */
export function manifestWarnings({ warnings }: ManifestFile): AuthorRemark[] {
  return warnings.map(({ file, line, column, path, message }) => ({
    file,
    line,
    column,
    message: path === '' ? message : `${path}: ${message}`,
    hints: [],
  }))
}

function* warn(warnings: readonly AuthorRemark[]): Generator<WorkRecord> {
  for (const warning of warnings)
    yield {
      action: 'warning',
      status: 'warn',
      ...(warning.file === undefined ? {} : { subject: warning.file }),
      message: formatRemark(warning),
      ...(warning.hints.length === 0 ? {} : { hints: [...warning.hints] }),
    }
}

function sortEntries(files: readonly IndexEntry[], tree: Tree): IndexEntry[] {
  const links = tree.links.map(({ path, target }): IndexEntry => ({ path, type: 'link', target }))
  const folders = tree.emptyFolders.map((path): IndexEntry => ({ path, type: 'folder' }))
  return [...files, ...links, ...folders].sort((a, b) => comparePaths(a.path, b.path))
}

/** What was hashed first may have changed while the last was: a release is one state of the folder or nothing. */
async function assertUnchanged(files: readonly TreeFile[], signal?: AbortSignal): Promise<void> {
  const faults: AuthorFault[] = []
  const reader = new FolderReader('/')
  const states = new Map(files.map(file => [file.absolute.slice(1), file]))
  for await (const looked of reader.look([...states.keys()], signal))
    for (const { path, stats } of looked) {
      const file = states.get(path)!
      if (!stats || formatFileState(stats) !== file.state) faults.push(changed(file.path))
    }
  throwFaults(faults.sort((a, b) => comparePaths(a.file ?? '', b.file ?? '')))
}
