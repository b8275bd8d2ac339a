import { createHash } from 'node:crypto'
import { lstat, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { resolvedImage } from '../../schemas/index.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { formatFileState } from '../system/file-state.ts'
import { diskPath } from './byte-path.ts'
import { hostArchitecture } from './platform.ts'
import type { LocatedSource } from './source-path.ts'

/** Remembers which image a source gave, for as long as its files are unchanged. Losing it costs only time. */
const remembered = z.strictObject({ format: z.literal(0), resolved: resolvedImage })
type Resolved = z.infer<typeof resolvedImage>

/** A hash over the state of every file of the source and over what else its image depends on. */
export async function sourceKey(source: LocatedSource): Promise<string> {
  const hash = createHash('sha256')
  const facts = [source.path, source.transport, source.tag, source.shown, hostArchitecture]
  hash.update(`${JSON.stringify(facts)}\n`)
  hash.update(formatFileState(await stat(source.path, { bigint: true })))
  if (source.isFolder)
    for await (const line of folderStates(source.path, '')) hash.update(`${line}\n`)
  return hash.digest('hex')
}

async function* folderStates(root: string, folder: string): AsyncGenerator<string> {
  const names = await readdir(diskPath(root, folder), { encoding: 'latin1' })
  for (const name of names.sort()) {
    const path = folder === '' ? name : `${folder}/${name}`
    const stats = await lstat(diskPath(root, path), { bigint: true })
    yield `${JSON.stringify(path)} ${stats.mode} ${formatFileState(stats)}`
    if (stats.isDirectory()) yield* folderStates(root, path)
  }
}

const cachePath = (cache: string, key: string) => join(cache, 'images', 'sources', `${key}.json`)

export async function recall(cache: string, key: string): Promise<Resolved | null> {
  const text = await readFile(cachePath(cache, key), 'utf8').catch(() => null)
  if (text === null) return null
  try {
    return remembered.parse(JSON.parse(text)).resolved
  } catch {
    return null
  }
}

export async function remember(cache: string, key: string, resolved: Resolved): Promise<void> {
  await writeFileAtomic(cachePath(cache, key), JSON.stringify({ format: 0, resolved }))
}
