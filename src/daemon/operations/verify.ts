import type { WorkRecord } from '../../../schemas/index.ts'
import { diffReleases } from '../../archive/diff.ts'
import { readCheckoutState } from '../../archive/folder-release.ts'
import { type VerifyResult, verifyFolder, verifyRelease } from '../../archive/verify.ts'
import { readBundleFile } from '../../author/bundle-file.ts'
import { fail } from '../../core/errors.ts'
import { parseReference, type Reference } from '../../core/reference.ts'
import type { Settings } from '../../core/settings.ts'
import { openSources, withSource } from './open-source.ts'

export type { VerifyResult } from '../../archive/verify.ts'

export interface VerifyOptions {
  readonly signal?: AbortSignal
}

/**
 * Re-hashes what is held of a release against its content hash: a stored one, a folder that `get` wrote, or an author's
 * folder against what it was last published as. Asks no peer. Faults are records and lists in the result, no throw.
 */
export async function* verify(
  settings: Settings,
  target: string,
  { signal }: VerifyOptions = {},
): AsyncGenerator<WorkRecord, VerifyResult> {
  const ref = parseReference(target)
  if (ref.kind === 'folder') {
    if ((await readCheckoutState(ref.path)) !== null) return yield* verifyFolder(ref.path, signal)
    return yield* verifyAuthorFolder(settings, ref, signal)
  }
  const how = { network: 'never', history: 'all', ...(signal ? { signal } : {}) } as const
  return yield* withSource(settings, ref, how, source => verifyRelease(source, signal))
}

async function* verifyAuthorFolder(
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
  const opened = yield* openSources(settings, [{ kind: 'key', key, release }, ref], {
    network: 'never',
    ...(signal ? { signal } : {}),
  })
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
    return { identity: stored!.identity, files, bytes, ...lists, partial: false }
  } finally {
    await opened.close()
  }
}

const FOUND = { added: 'extra', removed: 'missing', changed: 'changed' } as const
const SAID = {
  missing: 'is missing',
  changed: 'is not as it was published',
  extra: 'is not in the release',
} as const
