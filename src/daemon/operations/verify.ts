import type { WorkRecord } from '../../../schemas/index.ts'
import type { VerifyResult } from '../../archive/findings.ts'
import { readCheckoutState } from '../../archive/folder-release.ts'
import { verifyFolder } from '../../archive/verify-folder.ts'
import { parseReference } from '../../core/reference.ts'
import type { Settings } from '../../core/settings.ts'

export type { VerifyResult } from '../../archive/findings.ts'

export interface VerifyOptions {
  readonly signal?: AbortSignal
}

/**
 * Re-hashes what is held of a release against its content hash: a stored one, a folder that `get` wrote, or an author's
 * folder against what it was last published as. Asks no peer. Faults are records and lists in the result, no throw.
 * Throws PARTIAL when not even the list of files is here, or a `get` into the folder was interrupted.
 */
export async function* verify(
  settings: Settings,
  target: string,
  { signal }: VerifyOptions = {},
): AsyncGenerator<WorkRecord, VerifyResult> {
  const ref = parseReference(target)
  if (ref.kind === 'folder' && (await readCheckoutState(ref.path)) !== null)
    return yield* verifyFolder(ref.path, signal)
  // A folder that was fetched needs no store, and loads none.
  const { verifyAuthorFolder, verifyHeld } = await import('./verify-held.ts')
  if (ref.kind === 'folder') return yield* verifyAuthorFolder(settings, ref, signal)
  return yield* verifyHeld(settings, ref, target, signal)
}
