import { join } from 'node:path'
import type { AuthorApp, AuthorManifest, WorkRecord } from '../../schemas/index.ts'
import { type ManifestFile, parseManifestFile } from '../core/manifest-file.ts'
import { listOf, recordOf, textOf } from '../core/manifest-parts.ts'
import { readYaml } from '../core/manifest-yaml.ts'
import { count } from '../core/text.ts'
import { writableKey } from './bundle-file.ts'
import { checkRemarks } from './check-remarks.ts'
import { type AuthorFault, type AuthorRemark, faultsOf, formatRemark } from './faults.ts'
import { foreseeFaults } from './foresee.ts'
import { imageTreeFiles, prepareImages, resolvedImages } from './images.ts'
import { keepKnown, openKnown } from './known-files.ts'
import { manifestWarnings, openFolder, walkFolder } from './prepare.ts'
import type { PrepareOptions } from './prepare-options.ts'
import { MANIFEST_NAME, readManifestText } from './read-manifest.ts'
import { scriptRemarks } from './script-remarks.ts'
import { findSecrets } from './secrets.ts'

export interface CheckResult {
  /** What publish would refuse. */
  readonly faults: readonly AuthorFault[]
  /** What a reviewer will ask. */
  readonly warnings: readonly AuthorRemark[]
  readonly files: number
  readonly bytes: number
  /** The apps that it declares. */
  readonly apps: readonly string[]
}

export interface CheckFolderOptions extends Omit<PrepareOptions, 'purpose' | 'ingest'> {
  /** Whether the home that would publish can write the bundle of this key. */
  readonly isWritable: (key: string) => Promise<boolean>
}

/**
 * Finds everything that publish would refuse, and warns of what reviewers ask, all at once; publishes nothing.
 * Images are imported into the cache, as publish would. Throws only when the folder itself cannot be read, and INTERRUPTED.
 */
export async function* checkFolder(
  folder: string,
  options: CheckFolderOptions,
): AsyncGenerator<WorkRecord, CheckResult> {
  const { signal } = options
  const root = await openFolder(folder)
  const known = await openKnown(root, options)
  const faults: AuthorFault[] = []
  await noting(writableKey(root, options.isWritable), faults)
  const { file, valid } = await manifestOf(root, faults)
  yield { action: 'check', status: 'start', subject: 'files' }
  const tree = await walkFolder(root, file, signal)
  faults.push(...tree.faults)
  const files = [...tree.files]
  const allowed = file.manifest.allowSecrets ?? []
  faults.push(...(await findSecrets(tree.files, allowed, { known, signal })))
  if (valid) {
    const images = yield* collect(prepareImages(root, file, options), faults)
    if (images) {
      files.push(...(await imageTreeFiles(images)))
      const seen = { root, file, tree, images: resolvedImages(images), known, signal }
      await noting(
        foreseeFaults(seen).then(stale => faults.push(...stale)),
        faults,
      )
    }
  }
  yield* keepKnown(known, files)
  const warnings = [
    ...manifestWarnings(file),
    ...tree.warnings,
    ...(valid ? checkRemarks(file, tree) : []),
    ...(await scriptRemarks(tree.files, signal)),
  ]
  for (const fault of faults) yield say(fault, 'error', fault.code)
  for (const warning of warnings) yield say(warning, 'warn')
  const bytes = tree.files.reduce((sum, { size }) => sum + size, 0)
  yield { action: 'check', status: 'ok', message: `checked ${count('file', tree.files.length)}` }
  const apps = Object.keys(file.manifest.apps ?? {})
  return { faults, warnings, files: tree.files.length, bytes, apps }
}

/** The manifest; where it is invalid, what can be told of it, so that the rest is looked at all the same. */
async function manifestOf(
  root: string,
  faults: AuthorFault[],
): Promise<{ file: ManifestFile; valid: boolean }> {
  let text = ''
  try {
    text = await readManifestText(join(root, MANIFEST_NAME), MANIFEST_NAME)
    return { file: parseManifestFile(text, MANIFEST_NAME), valid: true }
  } catch (error) {
    faults.push(...faultsOf(error))
  }
  const source = readYaml(text)
  const manifest = salvage(source.value)
  return { file: { manifest, locate: source.locate, warnings: [] }, valid: false }
}

/** What of an invalid manifest says which files belong to the bundle. */
function salvage(value: unknown): AuthorManifest {
  const raw = recordOf(value)
  const texts = (list: unknown) => listOf(list).flatMap(item => textOf(item) ?? [])
  const apps = Object.entries(recordOf(raw['apps'])).flatMap(([name, app]) => {
    const out = textOf(recordOf(app)['out'])
    return [
      [name, { command: ['true'], ...(out === undefined ? {} : { out }) }] as [string, AuthorApp],
    ]
  })
  const images = Object.entries(recordOf(raw['images'])).flatMap(([name, image]) => {
    const source = textOf(recordOf(image)['source'])
    return source === undefined ? [] : [[name, { source }] as const]
  })
  return {
    repro: 1,
    name: 'invalid',
    exclude: texts(raw['exclude']),
    allowSecrets: texts(raw['allowSecrets']),
    apps: Object.fromEntries(apps),
    images: Object.fromEntries(images),
  }
}

/** Lets work go on to its records; what it throws is noted instead. */
async function* collect<T>(
  work: AsyncGenerator<WorkRecord, T>,
  faults: AuthorFault[],
): AsyncGenerator<WorkRecord, T | null> {
  try {
    return yield* work
  } catch (error) {
    faults.push(...faultsOf(error))
    return null
  }
}

async function noting(work: Promise<unknown>, faults: AuthorFault[]): Promise<void> {
  await work.catch(error => faults.push(...faultsOf(error)))
}

function say(remark: AuthorRemark, status: 'error' | 'warn', code?: string): WorkRecord {
  const { file, line, column, hints } = remark
  return {
    action: 'check',
    status,
    ...(file === undefined ? {} : { subject: file }),
    message: formatRemark(remark),
    ...(hints.length === 0 ? {} : { hints: [...hints] }),
    data: { ...(code === undefined ? {} : { code }), file, line, column, text: remark.message },
  }
}
