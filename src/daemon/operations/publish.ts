import type { Manifest, ReleaseRecord, WorkRecord } from '../../../schemas/index.ts'
import { readBundleFile, writeBundleFile } from '../../author/bundle-file.ts'
import { formatCitation } from '../../author/citation.ts'
import { prepareBundle } from '../../author/prepare.ts'
import { asReproError } from '../../core/errors.ts'
import type { Settings } from '../../core/settings.ts'
import { withHome } from './open-source.ts'

export interface PublishFolderOptions {
  readonly tag?: string
  readonly message?: string
  /** Makes a new bundle, whatever the folder was published to before. */
  readonly newBundle?: boolean
  /** Captures `host:` images again. */
  readonly recapture?: boolean
  readonly signal?: AbortSignal
}

export interface PublishedFolder {
  readonly record: ReleaseRecord
  readonly manifest: Manifest
  readonly citation: string
  /** False when the newest release already had this content: nothing was written. */
  readonly published: boolean
  readonly storedFiles: number
  readonly storedBytes: number
}

/**
 * Publishes a folder as a new release of its bundle, and notes the key in `.repro/bundle.json`.
 * The home is opened first: what would refuse the release does so before anything is hashed.
 * Throws what `prepareBundle` and `Home.publish` throw.
 */
export async function* publish(
  settings: Settings,
  folder: string,
  options: PublishFolderOptions = {},
): AsyncGenerator<WorkRecord, PublishedFolder> {
  const { signal, tag, message } = options
  const known = options.newBundle ? null : await readBundleFile(folder)
  return yield* withHome(settings, async function* (home) {
    const prepared = yield* prepareBundle(folder, {
      settings,
      purpose: 'publish',
      ...(options.recapture ? { recapture: true } : {}),
      ...(signal ? { signal } : {}),
    })
    const result = yield* home.publish(prepared, {
      key: known?.key ?? null,
      ...(tag === undefined ? {} : { tag }),
      ...(message === undefined ? {} : { message }),
      ...(signal ? { signal } : {}),
    })
    const { key, release, contentHash } = result.record
    yield* noteInFolder(folder, { key, release, contentHash })
    const citation = formatCitation(prepared.manifest, result.record)
    return { ...result, manifest: prepared.manifest, citation }
  })
}

/** The release exists by now: a folder that cannot be written to is a warning. */
async function* noteInFolder(
  folder: string,
  note: Parameters<typeof writeBundleFile>[1],
): AsyncGenerator<WorkRecord> {
  try {
    await writeBundleFile(folder, note)
  } catch (error) {
    yield {
      action: 'warning',
      message: `the key could not be noted in the folder: ${asReproError(error).message}`,
      hints: [`keep it: the next publish from here needs "${note.key}" in .repro/bundle.json`],
    }
  }
}
