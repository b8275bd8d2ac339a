import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { FORMAT, writingFile } from '../../schemas/index.ts'
import { isKey } from '../core/reference.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { readBootId } from '../system/boot-id.ts'

/** How the last writer of a bundle ended: well, or not, in this run of the machine or in another one. */
export type LastWrite = 'clean' | 'killed' | 'machine-stopped'

const SUFFIX = '.writing'
const pathOf = (home: string, key: string) => join(home, 'bundles', key + SUFFIX)

/** Notes, durably, that a bundle is being written by this process. */
export async function markWriting(home: string, key: string): Promise<void> {
  const mark = { format: FORMAT, key, boot: await readBootId(), pid: process.pid }
  await writeFileAtomic(pathOf(home, key), `${JSON.stringify(mark)}\n`, 0o600)
}

/** Takes the note away: all that was written is durable. */
export async function unmarkWriting(home: string, key: string): Promise<void> {
  await rm(pathOf(home, key), { force: true })
}

/** How the last writer of a bundle ended. Where the machine's run cannot be told, it counts as another one. */
export async function lastWrite(home: string, key: string): Promise<LastWrite> {
  const text = await readFile(pathOf(home, key), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (text === null) return 'clean'
  const mark = writingFile.safeParse(parse(text))
  const boot = mark.success ? mark.data.boot : null
  return boot !== null && boot === (await readBootId()) ? 'killed' : 'machine-stopped'
}

/** Bundles that were being written when their writer ended, or still are. */
export async function listMarked(home: string): Promise<string[]> {
  const names = await readdir(join(home, 'bundles')).catch(() => [])
  return names
    .filter(name => name.endsWith(SUFFIX))
    .map(name => name.slice(0, -SUFFIX.length))
    .filter(isKey)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
