import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FORMAT, type SeenFile, type SeenRelease, seenFile } from '../../schemas/index.ts'
import { ReproError } from '../core/errors.ts'
import { isKey } from '../core/reference.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'

const pathOf = (home: string, key: string) => join(home, 'seen', `${key}.json`)

/** What this home remembers of a bundle's history; an empty memory when there is none. Throws STORE_INVALID. */
export async function readSeen(home: string, key: string): Promise<SeenFile> {
  const empty = { format: FORMAT, key, releases: [], scanned: 0, puts: {}, faults: {} } as const
  const text = await readFile(pathOf(home, key), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (text === null) return { ...empty, releases: [], puts: {}, faults: {} }
  try {
    return seenFile.parse(JSON.parse(text))
  } catch (cause) {
    throw new ReproError('STORE_INVALID', `"${pathOf(home, key)}" cannot be read`, {
      hints: [
        'it holds what was seen of a bundle, to notice rewritten history: restore it from a backup',
      ],
      cause,
    })
  }
}

/** Keeps what was seen, when it differs from what was known. */
export async function writeSeen(home: string, before: SeenFile, after: SeenFile): Promise<void> {
  const text = JSON.stringify(after)
  if (text !== JSON.stringify(before)) await writeFileAtomic(pathOf(home, after.key), `${text}\n`)
}

/** Adds or replaces what was seen of one release. */
export function withRelease(seen: SeenFile, release: SeenRelease, name?: string): SeenFile {
  const others = seen.releases.filter(known => known.release !== release.release)
  return {
    ...seen,
    ...(name === undefined ? {} : { name }),
    releases: [...others, release].sort((a, b) => a.release - b.release),
  }
}

export async function listSeen(home: string): Promise<string[]> {
  const names = await readdir(join(home, 'seen')).catch(() => [])
  return names
    .filter(name => name.endsWith('.json'))
    .map(name => name.slice(0, -5))
    .filter(isKey)
}
