import type { WorkRecord } from '../../../schemas/index.ts'
import { fail } from '../../core/errors.ts'
import type { Home } from '../../core/home.ts'
import type { KeyReference, Reference } from '../../core/reference.ts'
import type { ReleaseSource } from '../../core/release-source.ts'
import type { Settings } from '../../core/settings.ts'
import { streamOf } from '../stream-of.ts'

export interface OpenSourceOptions {
  /** As `OpenOptions.network` of core/home.ts. */
  readonly network: 'never' | 'missing' | 'newest'
  readonly history?: 'all' | 'cheap'
  /** Captures `host:` images of a folder again. */
  readonly recapture?: boolean
  readonly signal?: AbortSignal
}

/** A release that can be read, and what must be closed after it. */
export interface OpenSource {
  readonly source: ReleaseSource
  close(): Promise<void>
}

/**
 * Opens whatever a person may name: a folder is prepared as publish would, a key or name is opened from the home.
 * Throws what `prepareBundle` and `Home.open` throw.
 */
export async function* openSource(
  settings: Settings,
  ref: Reference,
  options: OpenSourceOptions,
): AsyncGenerator<WorkRecord, OpenSource> {
  if (ref.kind === 'file') refuseFile(ref.path)
  if (ref.kind === 'folder') {
    const { prepareBundle } = await import('../../author/prepare.ts')
    const source = yield* prepareBundle(ref.path, {
      settings,
      ...(options.recapture ? { recapture: true } : {}),
      ...(options.signal ? { signal: options.signal } : {}),
    })
    return { source, close: async () => undefined }
  }
  const home = await openHome(settings)
  try {
    const release = yield* streamOf(async emit => {
      const key = await home.resolve(ref)
      return await home.open(key, { history: 'cheap', ...options, onRecord: emit })
    })
    return {
      source: release,
      close: async () => {
        await release.close()
        await home.close()
      },
    }
  } catch (error) {
    await home.close()
    throw error
  }
}

/** The home of these settings, in this process. Throws STORE_BUSY. */
export async function openHome(settings: Settings): Promise<Home> {
  const { openHome: open } = await import('../in-process-home.ts')
  return await open(settings)
}

/** Does `work` with an open home and closes it, whatever happens. */
export async function* withHome<T>(
  settings: Settings,
  work: (home: Home) => AsyncGenerator<WorkRecord, T>,
): AsyncGenerator<WorkRecord, T> {
  const home = await openHome(settings)
  try {
    return yield* work(home)
  } finally {
    await home.close()
  }
}

/** The key behind a reference. Throws USAGE for folders and files, NOT_FOUND for unknown names. */
export async function resolveKey(home: Home, ref: Reference): Promise<KeyReference> {
  if (ref.kind === 'file') refuseFile(ref.path)
  if (ref.kind === 'folder')
    fail('USAGE', `"${ref.path}" is a folder, and this needs a published bundle`, {
      hints: ['give its key, as printed by repro publish'],
    })
  return await home.resolve(ref)
}

function refuseFile(path: string): never {
  fail('USAGE', `"${path}" is a .repro file, which this version cannot open`, {
    hints: ['give the key of the bundle, or the folder it was unpacked to'],
  })
}
