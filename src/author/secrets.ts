import { open } from 'node:fs/promises'
import { compilePatterns } from '../core/glob.ts'
import { parallel } from '../system/parallel.ts'
import type { AuthorFault } from './faults.ts'
import { SECRET_NAMES, TOKEN_FORMS } from './secret-patterns.ts'
import type { TreeFile } from './walk.ts'

/** Of larger files only so much is looked at: keys lie in small files, or at the top. */
const MAX_SCANNED_BYTES = 1 << 20
/** A NUL byte among the first so many says that a file is no text. */
const SNIFFED_BYTES = 8192
const MAX_LINE = 4096
const SCANS_AT_ONCE = 8

/**
 * Files that hold secrets, by their names and by what stands in them; those in `allow` (paths or patterns) are passed over.
 * Finds what is common, not everything. A file that cannot be read is left to whoever hashes it.
 */
export async function findSecrets(
  files: readonly TreeFile[],
  allow: readonly string[],
  signal?: AbortSignal,
): Promise<AuthorFault[]> {
  const allowed = compilePatterns(allow, true)
  const found: AuthorFault[] = []
  const suspects = files.filter(file => !allowed(file.path))
  for await (const faults of parallel(suspects, SCANS_AT_ONCE, file => scan(file, signal)))
    found.push(...faults)
  return found.sort((a, b) => (a.file! < b.file! ? -1 : a.file! > b.file! ? 1 : 0))
}

async function scan(file: TreeFile, signal?: AbortSignal): Promise<AuthorFault[]> {
  signal?.throwIfAborted()
  const named = SECRET_NAMES.filter(({ name }) => name.test(file.path))
  const byName = named.find(({ line }) => line === undefined)
  if (byName) return [fault(file, `looks like ${byName.what}, by its name`)]
  const text = await readText(file)
  if (text === null) return []
  for (const [i, line] of text.split('\n').entries()) {
    const start = line.slice(0, MAX_LINE)
    for (const { what, line: form } of named)
      if (form?.test(start)) return [fault(file, `holds what looks like ${what}`, i + 1, 1)]
    for (const { what, form } of TOKEN_FORMS) {
      const match = form.exec(start)
      if (!match) continue
      const shown = match[0].startsWith('---') ? '' : ` ("${match[0].slice(0, 5)}…")`
      return [fault(file, `holds what looks like ${what}${shown}`, i + 1, match.index + 1)]
    }
  }
  return []
}

/** The text of a file, of its beginning when it is large; null for what is no text. */
async function readText(file: TreeFile): Promise<string | null> {
  const handle = await open(file.absolute, 'r').catch(() => null)
  if (!handle) return null
  try {
    const buffer = Buffer.alloc(Math.min(file.size, MAX_SCANNED_BYTES))
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
    const bytes = buffer.subarray(0, bytesRead)
    return bytes.subarray(0, SNIFFED_BYTES).includes(0) ? null : bytes.toString('latin1')
  } finally {
    await handle.close()
  }
}

function fault(file: TreeFile, message: string, line?: number, column?: number): AuthorFault {
  return {
    code: 'SECRET_FOUND',
    file: file.path,
    ...(line === undefined ? {} : { line }),
    ...(column === undefined ? {} : { column }),
    message,
    hints: [
      `keep it out: add '${file.path}' to exclude in repro.yaml`,
      `or, when it is meant for everybody: add '${file.path}' to allowSecrets`,
    ],
  }
}
