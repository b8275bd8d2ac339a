import { link, lstat, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fail } from '../core/errors.ts'
import { parseManifestFile } from '../core/manifest-file.ts'
import { syncFolder, temporaryName, writeFileAtomic } from '../system/atomic-file.ts'
import { type Survey, surveyFolder } from './init-survey.ts'
import { manifestText } from './init-text.ts'
import { openFolder } from './prepare.ts'
import { MANIFEST_NAME } from './read-manifest.ts'

export interface InitOptions {
  /** Replaces a manifest that is there. */
  readonly force?: boolean
  readonly signal?: AbortSignal
}

export interface InitResult {
  /** Where the manifest lies now. */
  readonly path: string
  readonly text: string
  /** What it was written from. */
  readonly survey: Survey
}

/**
 * Writes a commented `repro.yaml` from what lies in a folder, whole or not at all.
 * Throws TARGET_CHANGED when there is one and `force` is not given, NOT_FOUND without a folder.
 */
export async function initFolder(folder: string, options: InitOptions = {}): Promise<InitResult> {
  const root = await openFolder(folder)
  const path = join(root, MANIFEST_NAME)
  if (!options.force && (await lstat(path).catch(() => null))) refuse(path)
  const survey = await surveyFolder(root, options.signal)
  const text = manifestText(root, survey)
  parseManifestFile(text, MANIFEST_NAME)
  if (options.force) await writeFileAtomic(path, text)
  else await writeNew(path, text)
  return { path, text, survey }
}

/** As `writeFileAtomic`, but never over a file that came in between. */
async function writeNew(path: string, text: string): Promise<void> {
  const temporary = temporaryName(path)
  try {
    await writeFile(temporary, text, { flag: 'wx', flush: true })
    await link(temporary, path).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') refuse(path)
      // A file system without hard links: exclusive creation is the next best.
      await writeFile(path, text, { flag: 'wx', flush: true })
    })
  } finally {
    await rm(temporary, { force: true })
  }
  await syncFolder(join(path, '..'))
}

function refuse(path: string): never {
  fail('TARGET_CHANGED', `"${path}" is there already`, {
    hints: ['look at it: repro check', 'or write it anew, losing what it says: repro init --force'],
    data: { path },
  })
}
