import { constants } from 'node:fs'
import { copyFile, cp, mkdir, readdir, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { StageFile } from '../../schemas/index.ts'
import { parallel } from '../system/parallel.ts'
import { openOutput } from './compare/open-output.ts'

const WIDTH = 16

/**
 * Copies the inputs of a stage into a folder of the run that a host app may write to: by reference where the file
 * system can, else byte by byte, never as a hard link to the cache.
 */
export async function copyBundle(
  stage: string,
  file: StageFile,
  to: string,
  out: string,
): Promise<void> {
  await mkdir(join(to, out), { recursive: true, mode: 0o755 })
  const folders = new Set(
    file.entries.map(entry => (entry.type === 'folder' ? entry.path : dirname(entry.path))),
  )
  for (const folder of folders) await mkdir(join(to, folder), { recursive: true, mode: 0o755 })
  const copyEntry = async (entry: StageFile['entries'][number]) => {
    const target = join(to, entry.path)
    if (entry.type === 'link') await symlink(entry.target, target)
    else if (entry.type === 'file')
      await copyFile(
        join(stage, 'bundle', entry.path),
        target,
        constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL,
      )
  }
  for await (const _ of parallel(file.entries, WIDTH, copyEntry));
}

/** Moves what a host app wrote from its copy to where outputs go, and removes the copy. */
export async function takeOutputs(copy: string, out: string, to: string): Promise<void> {
  const from = join(copy, out)
  // The app may have removed its out folder, or put a link to elsewhere in its place: then there are no outputs.
  const found = await openOutput(copy, out)
  if (found.kind === 'file') await found.handle.close()
  const names = found.kind === 'folder' ? await readdir(from) : []
  for (const name of names)
    await rename(join(from, name), join(to, name)).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EXDEV') throw error
      await cp(join(from, name), join(to, name), { recursive: true, verbatimSymlinks: true })
    })
  await rm(copy, { recursive: true, force: true })
}
