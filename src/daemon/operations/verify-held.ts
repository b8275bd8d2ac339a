import type { BundleFile, WorkRecord } from '../../../schemas/index.ts'
import { diffReleases } from '../../archive/diff.ts'
import type { VerifyResult } from '../../archive/findings.ts'
import { isDamage, storeError } from '../../archive/store-errors.ts'
import { verifyRelease } from '../../archive/verify.ts'
import { readBundleFile } from '../../author/bundle-file.ts'
import { fail, ReproError } from '../../core/errors.ts'
import type { Reference } from '../../core/reference.ts'
import type { Settings } from '../../core/settings.ts'
import { isMissing } from '../fetching-release.ts'
import {
  type OpenSourceOptions,
  type OpenSources,
  openSources,
  withHome,
  withSource,
} from './open-source.ts'

/** As `verify`, of what a store holds. */
export async function* verifyHeld(
  settings: Settings,
  ref: Reference,
  target: string,
  signal?: AbortSignal,
): AsyncGenerator<WorkRecord, VerifyResult> {
  const how = { network: 'never', history: 'all', ...(signal ? { signal } : {}) } as const
  try {
    return yield* withSource(settings, ref, how, source => verifyRelease(source, signal))
  } catch (error) {
    if (isDamage(error)) throw storeError(error, target)
    if (!isMissing(error)) throw error
    throw await notHere(settings, ref, error as ReproError)
  }
}

/** Says how much is here of a release whose manifest or index is not. */
async function notHere(settings: Settings, ref: Reference, cause: ReproError): Promise<ReproError> {
  const work = withHome(settings, async function* (home) {
    yield* []
    const { key, release } = await home.resolve(ref)
    const held = (await home.list()).some(one => one.key === key && one.releases > 0)
    return { name: release === undefined ? key : `${key}@${release}`, held }
  })
  const { value } = await work.next()
  const { name, held } = value as { name: string; held: boolean }
  const hints = [`repro get ${name} <dir>`]
  return held
    ? new ReproError(
        'PARTIAL',
        `${name} is held in part, without its list of files: nothing here is wrong, and nothing can be checked against it`,
        { hints, cause },
      )
    : new ReproError('NO_PEER', `nothing of ${name} is here that could be verified`, {
        hints,
        cause,
      })
}

/** As `verify`, of an author's folder. */
export async function* verifyAuthorFolder(
  settings: Settings,
  ref: Extract<Reference, { kind: 'folder' }>,
  signal?: AbortSignal,
): AsyncGenerator<WorkRecord, VerifyResult> {
  const published = await readBundleFile(ref.path)
  if (published === null)
    fail('NOT_FOUND', `"${ref.path}" was neither published nor fetched: it has no content hash`, {
      hints: ['repro check looks at a folder before it is published'],
    })
  const { key, release } = published
  if (release === 0)
    fail('NOT_FOUND', `"${ref.path}" was not published yet: publishing it was cut off`, {
      hints: [`repro publish ${ref.path}`],
      data: { key },
    })
  const how = { network: 'never', rehash: true, ...(signal ? { signal } : {}) } as const
  let opened: OpenSources
  try {
    opened = yield* openSources(settings, [{ kind: 'key', key, release }, ref], how)
  } catch (error) {
    if (!(error instanceof ReproError) || error.code !== 'STORE_BUSY') throw error
    return yield* verifyByHash(settings, ref, published, how, error)
  }
  try {
    const [stored, folder] = opened.sources
    const lists = { missing: [] as string[], changed: [] as string[], extra: [] as string[] }
    for await (const { change, path } of diffReleases(stored!, folder!)) {
      const found = FOUND[change]
      lists[found].push(path)
      yield {
        action: 'verify',
        status: 'error',
        subject: path,
        message: SAID[found],
        data: { found },
      }
    }
    const { files, bytes } = folder!.manifest.index
    const releaseFiles = stored!.manifest.index.files
    return { identity: stored!.identity, files, bytes, releaseFiles, ...lists, partial: false }
  } finally {
    await opened.close()
  }
}

/** What the folder notes tells whether it is as it was published; what differs, only the store could tell. */
async function* verifyByHash(
  settings: Settings,
  ref: Reference,
  { key, release, contentHash }: BundleFile,
  how: OpenSourceOptions,
  busy: ReproError,
): AsyncGenerator<WorkRecord, VerifyResult> {
  return yield* withSource(settings, ref, how, async function* ({ identity, manifest }) {
    if (identity.contentHash !== contentHash)
      fail('STORE_BUSY', `the folder is not as it was published, and ${busy.message}`, {
        hints: busy.hints,
        data: busy.data,
        cause: busy,
      })
    const message = `${busy.message}: compared with the content hash noted in .repro/bundle.json`
    yield { action: 'note', message }
    const { files, bytes } = manifest.index
    const lists = { missing: [], changed: [], extra: [] }
    const found = { files, bytes, releaseFiles: files, ...lists, partial: false }
    return { identity: { ...identity, key, release }, ...found }
  })
}

const FOUND = { added: 'extra', removed: 'missing', changed: 'changed' } as const
const SAID = {
  missing: 'is missing',
  changed: 'is not as it was published',
  extra: 'is not in the release',
} as const
