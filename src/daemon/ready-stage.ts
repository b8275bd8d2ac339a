import { access, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readSeen } from '../archive/seen.ts'
import { chooseApp } from '../core/choose-app.ts'
import { ReproError } from '../core/errors.ts'
import type { KeyReference } from '../core/reference.ts'
import type { Settings } from '../core/settings.ts'
import { openStage, type Stage } from '../run/open-stage.ts'
import { stageFolder } from '../run/stage.ts'

export interface ReadyStageOptions {
  readonly app?: string
  readonly rehash?: boolean
  readonly image?: boolean
  readonly signal?: AbortSignal
}

/**
 * The stage of an app of a release that was opened here before, found without opening the store: so a second run
 * starts fast, and works while another process shares from this home. Null whenever the store has to be asked: for
 * a tag, for the newest release of an own bundle, when history was found rewritten, when no whole stage is there.
 */
export async function findReadyStage(
  settings: Pick<Settings, 'home' | 'cache'>,
  ref: KeyReference,
  options: ReadyStageOptions,
): Promise<Stage | null> {
  try {
    const contentHash = await knownContent(settings.home, ref)
    if (contentHash === null) return null
    const stage = await openOne(settings.cache, contentHash, options.app ?? ref.app, options)
    const { file } = stage ?? {}
    const same = file?.key === ref.key && file.contentHash === contentHash
    return stage && same && (ref.release === undefined || file.release === ref.release)
      ? stage
      : null
  } catch (error) {
    if (error instanceof ReproError && error.code !== 'INTERRUPTED') return null
    throw error
  }
}

/** The content hash of the release, as it was seen and checked before. */
async function knownContent(home: string, ref: KeyReference): Promise<string | null> {
  if (typeof ref.release === 'string' || ref.secret !== undefined) return null
  const own = await access(join(home, 'bundles', `${ref.key}.json`)).then(
    () => true,
    () => false,
  )
  if (own && ref.release === undefined) return null
  const seen = await readSeen(home, ref.key)
  if (Object.keys(seen.faults).length > 0) return null
  const known =
    ref.release === undefined
      ? seen.releases.at(-1)
      : seen.releases.find(one => one.release === ref.release)
  if (!known || (ref.hash !== undefined && ref.hash !== known.contentHash)) return null
  return known.contentHash
}

async function openOne(
  cache: string,
  contentHash: string,
  app: string | undefined,
  options: ReadyStageOptions,
): Promise<Stage | null> {
  const open = (name: string) => openStage(stageFolder(cache, contentHash, name), options)
  if (app !== undefined) return await open(app)
  const prefix = `${contentHash.replace('blake3:', '')}-`
  const names = await readdir(join(cache, 'stages')).catch(() => [])
  const staged = names
    .filter(name => name.startsWith(prefix))
    .map(name => name.slice(prefix.length))
  const first = staged.includes('default') ? 'default' : staged[0]
  if (first === undefined) return null
  const stage = await open(first)
  const wanted = chooseApp(stage.file.manifest, undefined)
  return wanted === first ? stage : await open(wanted)
}
