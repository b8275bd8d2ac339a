import type { WorkRecord } from '../../../schemas/index.ts'
import { fail } from '../../core/errors.ts'
import type { Home } from '../../core/home.ts'
import { type KeyReference, parseReference, type Reference } from '../../core/reference.ts'
import type { ReleaseSource } from '../../core/release-source.ts'
import type { Settings } from '../../core/settings.ts'
import { Names } from '../names.ts'
import { streamOf } from '../stream-of.ts'

export interface OpenSourceOptions {
  /** As `OpenOptions.network` of core/home.ts. */
  readonly network: 'never' | 'missing' | 'newest'
  readonly history?: 'all' | 'cheap'
  /** Captures `host:` images of a folder again. */
  readonly recapture?: boolean
  /** Hashes all files of a folder again, also those that look unchanged. */
  readonly rehash?: boolean
  readonly signal?: AbortSignal
}

/** Releases that can be read, and what must be closed after them. */
export interface OpenSources {
  readonly sources: readonly ReleaseSource[]
  close(): Promise<void>
}

/**
 * Opens whatever a person may name: a folder that `get` wrote is read as the release it is a copy of, any other folder
 * is prepared as publish would, a key or name is opened from the home (which is opened once, and only when needed).
 * Throws what `openFolderRelease`, `prepareBundle` and `Home.open` throw.
 */
export async function* openSources(
  settings: Settings,
  refs: readonly Reference[],
  options: OpenSourceOptions,
): AsyncGenerator<WorkRecord, OpenSources> {
  const sources: ReleaseSource[] = []
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (const one of closers.reverse()) await one()
  }
  let home: Home | null = null
  try {
    for (const ref of refs) {
      if (ref.kind === 'file') refuseFile(ref.path)
      if (ref.kind === 'folder') {
        sources.push(yield* openFolder(settings, ref.path, options))
        continue
      }
      if (home === null) {
        const opened = await openHome(settings)
        closers.push(() => opened.close())
        home = opened
      }
      const from: Home = home
      const { recapture: _, rehash: __, ...how } = options
      const release = yield* streamOf(async emit =>
        from.open(await from.resolve(ref), { history: 'cheap', ...how, onRecord: emit }),
      )
      closers.push(() => release.close())
      sources.push(release)
    }
    return { sources, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function* openFolder(
  settings: Settings,
  folder: string,
  { recapture, rehash, signal }: OpenSourceOptions,
): AsyncGenerator<WorkRecord, ReleaseSource> {
  const { assertComplete, openFolderRelease, readCheckoutState } = await import(
    '../../archive/folder-release.ts'
  )
  const state = await readCheckoutState(folder)
  if (state !== null) {
    assertComplete(folder, state)
    return await openFolderRelease(folder)
  }
  const { prepareBundle } = await import('../../author/prepare.ts')
  return yield* prepareBundle(folder, {
    settings,
    ...(recapture ? { recapture } : {}),
    ...(rehash ? { rehash } : {}),
    ...(signal ? { signal } : {}),
  })
}

/** Opens one release, does `work` with it and closes it, whatever happens. */
export async function* withSource<T>(
  settings: Settings,
  ref: Reference,
  options: OpenSourceOptions,
  work: (source: ReleaseSource) => AsyncGenerator<WorkRecord, T>,
): AsyncGenerator<WorkRecord, T> {
  const { sources, close } = yield* openSources(settings, [ref], options)
  try {
    return yield* work(sources[0]!)
  } finally {
    await close()
  }
}

/** Does `work` with an open home and closes it, whatever happens. Throws STORE_BUSY. */
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

/**
 * The key behind a reference; of a folder, the bundle that it was published to or fetched from.
 * Throws USAGE for files, NOT_FOUND for unknown names and for folders of no bundle, CONFIG_INVALID, RECORD_INVALID.
 */
export async function resolveKey(home: Home, ref: Reference): Promise<KeyReference> {
  if (ref.kind === 'file') refuseFile(ref.path)
  if (ref.kind === 'folder') return { kind: 'key', key: await keyOfFolder(ref.path) }
  return await home.resolve(ref)
}

/** As `resolveKey`, for what needs no store, and so must not wait for one that another process has open. */
export async function keyWithoutStore(settings: Settings, ref: string): Promise<KeyReference> {
  const reference = parseReference(ref)
  if (reference.kind === 'file') refuseFile(reference.path)
  if (reference.kind === 'folder') return { kind: 'key', key: await keyOfFolder(reference.path) }
  if (reference.kind === 'key') return reference
  const { name, ...selection } = reference
  return { ...selection, kind: 'key', key: await new Names(settings.home).resolve(name) }
}

async function keyOfFolder(folder: string): Promise<string> {
  const [{ readCheckoutState }, { readBundleFile }] = await Promise.all([
    import('../../archive/folder-release.ts'),
    import('../../author/bundle-file.ts'),
  ])
  const noted = (await readCheckoutState(folder)) ?? (await readBundleFile(folder))
  return (
    noted?.key ??
    fail('NOT_FOUND', `the folder "${folder}" was neither published nor fetched: it has no key`, {
      hints: [`repro publish ${folder}`, 'or give the key of a bundle'],
    })
  )
}

/** Loaded only here: everything else works without Holepunch packages. */
async function openHome(settings: Settings): Promise<Home> {
  const { openHome: open } = await import('../in-process-home.ts')
  return await open(settings)
}

function refuseFile(path: string): never {
  fail('USAGE', `"${path}" is a .repro file, which this version cannot open`, {
    hints: ['give the key of the bundle, or the folder it was unpacked to'],
  })
}
