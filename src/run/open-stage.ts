import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type StageFile, stageFile } from '../../schemas/index.ts'
import { assertArchivePath } from '../core/archive-path.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { fail, ReproError } from '../core/errors.ts'
import { assertLinksInside } from '../core/link-tree.ts'
import { assertManifest } from '../core/manifest-faults.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { blake3 } from '../system/blake3.ts'
import { checkRootfs } from './rootfs-state.ts'
import { checkStage, STAGE_FILE } from './stage-check.ts'

/** A stage that was found whole: it may be executed. */
export interface Stage {
  readonly folder: string
  readonly file: StageFile
  /** The unpacked image, absolute; null for an app without one. */
  readonly rootfs: string | null
  /** How it is known that the files are the release's. */
  readonly checked: 'hashed' | 'stat'
}

export interface OpenStageOptions {
  /** Hash everything again, whatever the noted file states say. */
  readonly rehash?: boolean
  /** False for a run that uses no image: then none needs to be there. */
  readonly image?: boolean
  readonly signal?: AbortSignal
}

/**
 * Opens a stage and looks whether it is whole. Needs no store, no network and no native module.
 * Throws NOT_FOUND when there is none, RECORD_INVALID when its record cannot be read,
 * HASH_MISMATCH naming what is missing, changed or extra.
 */
export async function openStage(folder: string, options: OpenStageOptions = {}): Promise<Stage> {
  const file = await readStageFile(folder)
  if (file.rootfs) assertRootfs(file, join(folder, STAGE_FILE))
  const wantsImage = options.image !== false && file.manifest.apps[file.app]!.image !== null
  if (wantsImage && !file.rootfs)
    fail('NOT_FOUND', `the stage "${folder}" was made without the image of its app`)
  const rootfs = wantsImage ? resolve(folder, file.rootfs!.path) : null
  const found = await checkStage(folder, file, options)
  const faults = [...found.faults]
  const image = rootfs === null ? 'stat' : await checkRootfs(rootfs, options)
  if (image === 'damaged') faults.push(`changed image ${file.rootfs!.digest}`)
  if (image === 'absent') faults.push(`missing image ${file.rootfs!.digest}`)
  if (faults.length > 0) {
    const shown = faults.slice(0, 10).join(', ')
    const more = faults.length > 10 ? ` and ${faults.length - 10} more` : ''
    fail('HASH_MISMATCH', `the stage "${folder}" is damaged: ${shown}${more}`, {
      hints: ['nothing of it was executed; run the release by its reference to stage it again'],
      data: { folder, faults },
    })
  }
  const checkedFile = { ...file, state: { ...found.state } }
  if (found.checked === 'hashed') await writeStageFile(folder, checkedFile)
  const checked = found.checked === 'hashed' || image === 'hashed' ? 'hashed' : 'stat'
  return { folder, file: checkedFile, rootfs, checked }
}

async function readStageFile(folder: string): Promise<StageFile> {
  const path = join(folder, STAGE_FILE)
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT' && cause.code !== 'ENOTDIR') throw cause
    return fail('NOT_FOUND', `"${folder}" is no stage: it has no ${STAGE_FILE}`)
  })
  try {
    const file = stageFile.parse(JSON.parse(text))
    for (const entry of file.entries) assertArchivePath(entry.path)
    assertLinksInside(file.entries)
    const found = `blake3:${blake3(canonicalJson(file.manifest))}`
    if (found !== file.contentHash)
      fail(
        'HASH_MISMATCH',
        `the manifest in "${path}" has the content hash ${found} instead of ${file.contentHash}`,
      )
    assertManifest(file.manifest, `the manifest in "${path}"`)
    if (!Object.hasOwn(file.manifest.apps, file.app))
      fail('APP_UNKNOWN', `the manifest in "${path}" has no app "${file.app}"`)
    return file
  } catch (cause) {
    if (cause instanceof ReproError) throw cause
    return fail('RECORD_INVALID', `"${path}" is no valid record of a stage`, {
      hints: ['delete the folder and run the release by its reference to stage it again'],
      cause,
    })
  }
}

/** A stage's image is the one of its manifest, and lies in the same cache. */
function assertRootfs({ rootfs, manifest, app }: StageFile, path: string): void {
  const image = manifest.apps[app]!.image
  const digest = image === null ? undefined : manifest.images[image]?.digest
  const wanted = `../../rootfs/${digest?.replace('sha256:', '')}`
  if (rootfs!.digest !== digest || rootfs!.path !== wanted)
    fail(
      'RECORD_INVALID',
      `"${path}" names the image at "${rootfs!.path}" instead of "${wanted}"`,
      {
        hints: ['delete the folder and run the release by its reference to stage it again'],
      },
    )
}

/** Writes `stage.json`. */
export async function writeStageFile(folder: string, file: StageFile): Promise<void> {
  await writeFileAtomic(join(folder, STAGE_FILE), `${JSON.stringify(file)}\n`)
}
