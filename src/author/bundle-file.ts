import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type BundleFile, bundleFile, FORMAT } from '../../schemas/index.ts'
import { RESERVED } from '../core/archive-path.ts'
import { fail, ReproError } from '../core/errors.ts'
import { formatBytes } from '../core/text.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { enterPhase } from '../system/phase.ts'

const MAX_BYTES = 1 << 20

/** Where a folder notes which bundle it publishes to. */
export function bundleFilePath(folder: string): string {
  return join(folder, RESERVED, 'bundle.json')
}

/**
 * What the folder was last published as, release 0 when its first publish was begun and not finished; null when it
 * never was. Throws CONFIG_INVALID.
 */
export async function readBundleFile(folder: string): Promise<BundleFile | null> {
  const parsed = await readSideFile(bundleFilePath(folder))
  if (parsed === null) return null
  const result = bundleFile.safeParse(parsed)
  if (result.success) return result.data
  return fail('CONFIG_INVALID', `"${bundleFilePath(folder)}" is no note of a published bundle`, {
    hints: ['restore it, or delete it and publish with --new as a bundle of its own'],
  })
}

/**
 * The key the folder publishes to; null for a first publish.
 * Throws KEY_NOT_WRITABLE for one that this home cannot write, CONFIG_INVALID.
 */
export async function writableKey(
  root: string,
  isWritable: (key: string) => Promise<boolean>,
): Promise<string | null> {
  const noted = await readBundleFile(root)
  if (noted === null || (await isWritable(noted.key))) return noted?.key ?? null
  return fail(
    'KEY_NOT_WRITABLE',
    `"${root}" ${noted.release === 0 ? 'was begun' : 'is published'} as ${noted.key}, and this home cannot write that bundle`,
    {
      hints: [
        'publish from the home that made it: REPRO_HOME=<that home> repro publish',
        `or bring its key here: repro key export ${noted.key} <file> there, repro key import <file> here`,
        'or publish it as a bundle of its own: repro publish --new',
      ],
      data: { key: noted.key },
    },
  )
}

/** Notes what the folder was published as, atomically. */
export async function writeBundleFile(
  folder: string,
  bundle: Omit<BundleFile, 'format'>,
): Promise<void> {
  enterPhase('note')
  const text = JSON.stringify({ format: FORMAT, ...bundle }, null, 2)
  await writeFileAtomic(bundleFilePath(folder), `${text}\n`)
}

/** The JSON of one of our small files beside the author's; null when it is not there. Throws CONFIG_INVALID. */
export async function readSideFile(path: string): Promise<unknown> {
  const bytes = await readOurs(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    if (error instanceof ReproError) throw error
    return fail('READ_FAILED', `cannot read "${path}": ${error.message}`, { cause: error })
  })
  if (bytes === null) return null
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown
  } catch (cause) {
    return fail('CONFIG_INVALID', `"${path}" is no JSON`, {
      hints: ['restore it or delete it'],
      cause,
    })
  }
}

/** Looks before it reads: a pipe would never end, and nothing of ours is large. */
async function readOurs(path: string): Promise<Buffer> {
  const stats = await stat(path)
  if (!stats.isFile()) fail('CONFIG_INVALID', `"${path}" is no regular file`)
  if (stats.size > MAX_BYTES)
    fail('CONFIG_INVALID', `"${path}" has ${formatBytes(stats.size)}: that is none of ours`)
  return await readFile(path)
}
