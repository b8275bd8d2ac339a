import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { blake3 } from '../system/blake3.ts'
import { formatFileState } from '../system/file-state.ts'
import { makeScratchFolder } from '../system/scratch-folder.ts'
import { type LayoutFile, listLayout } from './layout-files.ts'

const stateFile = z.strictObject({ format: z.literal(0), state: z.string() })

/**
 * The files of an imported image in the cache, when it is there and as it was made: by the noted states of its files, or
 * by the SHA-256 of each blob. A damaged one is taken away, so that it is imported again; null then, and when there is none.
 */
export async function reuseLayout(
  layout: string,
  { rehash = false, signal }: { readonly rehash?: boolean; readonly signal?: AbortSignal } = {},
): Promise<readonly LayoutFile[] | null> {
  const files = await listLayout(layout).catch(() => null)
  if (files === null) return null
  const state = await stateOf(layout, files)
  const noted = `${layout}.state`
  if (!rehash && (await readState(noted)) === state) return files
  if (await isSound(layout, files, signal)) {
    await writeFileAtomic(noted, `${JSON.stringify({ format: 0, state })}\n`)
    return files
  }
  await removeLayout(layout)
  return null
}

async function stateOf(layout: string, files: readonly LayoutFile[]): Promise<string> {
  const lines: string[] = []
  for (const { path } of files)
    lines.push(`${path} ${formatFileState(await lstat(join(layout, path), { bigint: true }))}\n`)
  return blake3(lines.join(''))
}

async function readState(path: string): Promise<string | null> {
  const text = await readFile(path, 'utf8').catch(() => 'null')
  try {
    return stateFile.parse(JSON.parse(text)).state
  } catch {
    return null
  }
}

/** Every blob has its name as its digest, and the index names the image of the folder. */
async function isSound(
  layout: string,
  files: readonly LayoutFile[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  for (const { path } of files) {
    if (!path.startsWith('blobs/')) continue
    const hash = createHash('sha256')
    const chunks = createReadStream(join(layout, path), { highWaterMark: 1 << 20 })
    for await (const chunk of chunks) {
      signal?.throwIfAborted()
      hash.update(chunk as Buffer)
    }
    if (hash.digest('hex') !== basename(path)) return false
  }
  const index = await readFile(join(layout, 'index.json'), 'utf8')
  const marker = await readFile(join(layout, 'oci-layout'), 'utf8')
  return index.includes(`"sha256:${basename(layout)}"`) && isJson(index) && isJson(marker)
}

function isJson(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'object'
  } catch {
    return false
  }
}

async function removeLayout(layout: string): Promise<void> {
  const scratch = await makeScratchFolder(dirname(dirname(layout)), 'old')
  try {
    await rename(layout, join(scratch, 'layout'))
  } catch (error) {
    // Another process found it damaged, too.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
