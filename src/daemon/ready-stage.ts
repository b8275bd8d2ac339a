import { access, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { SeenRelease } from '../../schemas/index.ts'
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
 * the newest release of an own bundle, a release not seen yet, when history was found rewritten, when no whole stage
 * is there. The stage says it is of the release asked for, whichever release of equal content it was made for.
 */
export async function findReadyStage(
  settings: Pick<Settings, 'home' | 'cache'>,
  ref: KeyReference,
  options: ReadyStageOptions,
): Promise<Stage | null> {
  try {
    const known = await knownRelease(settings.home, ref)
    if (known === null) return null
    const { key, release, contentHash } = known
    const stage = await openOne(settings.cache, contentHash, options.app ?? ref.app, options)
    if (stage?.file.contentHash !== contentHash) return null
    return { ...stage, file: { ...stage.file, key, release, tag: known.tag ?? null } }
  } catch (error) {
    if (error instanceof ReproError && error.code !== 'INTERRUPTED') return null
    throw error
  }
}

/** The release meant, as it was seen and checked before. */
async function knownRelease(home: string, ref: KeyReference): Promise<SeenRelease | null> {
  if (ref.secret !== undefined) return null
  const own = await access(join(home, 'bundles', `${ref.key}.json`)).then(
    () => true,
    () => false,
  )
  if (own && ref.release === undefined) return null
  const seen = await readSeen(home, ref.key)
  if (Object.keys(seen.faults).length > 0 || seen.fork) return null
  const known =
    ref.release === undefined
      ? seen.releases.at(-1)
      : seen.releases.find(one => one.release === ref.release || one.tag === ref.release)
  if (!known || (ref.hash !== undefined && ref.hash !== known.contentHash)) return null
  return known
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
