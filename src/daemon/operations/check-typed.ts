import { join } from 'node:path'
import { appOf } from '../../core/app-closure.ts'
import { chooseApp } from '../../core/choose-app.ts'
import { resolveParams } from '../../run/params.ts'

/** What was typed for a run. */
export interface TypedRun {
  readonly app?: string
  readonly set?: readonly string[]
  readonly cwd?: string
}

/**
 * Checks app and parameters against the manifest of an author's folder, before its images are prepared and its files
 * hashed. A folder that `get` wrote has a manifest of its own and is opened at once anyway.
 * Throws MANIFEST_MISSING, MANIFEST_INVALID, APP_UNKNOWN, PARAM_INVALID.
 */
export async function checkTyped(folder: string, typed: TypedRun): Promise<void> {
  const { readCheckoutState } = await import('../../archive/folder-release.ts')
  if ((await readCheckoutState(folder)) !== null) return
  const { MANIFEST_NAME, readManifestFile } = await import('../../author/read-manifest.ts')
  const { openFolder } = await import('../../author/prepare.ts')
  const file = await readManifestFile(join(await openFolder(folder), MANIFEST_NAME), MANIFEST_NAME)
  const manifest = { name: file.manifest.name, apps: file.manifest.apps ?? {} }
  const { params } = appOf(manifest, chooseApp(manifest, typed.app))
  await resolveParams({ params: params ?? {} }, typed.set ?? [], typed.cwd ?? process.cwd())
}
