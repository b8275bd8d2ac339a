import { compilePatterns } from '../core/glob.ts'
import { readTextHead } from '../system/head-search.mjs'
import { searchHeads } from '../system/head-search.ts'
import type { StatCache } from '../system/stat-cache.ts'
import type { AuthorFault } from './faults.ts'
import { ANY_TOKEN, SECRET_NAMES, TOKEN_FORMS } from './secret-patterns.ts'
import type { TreeFile } from './walk.ts'

const MAX_LINE = 4096

export interface SecretsOptions {
  /** Whose marks say that nothing was found in a file by these patterns (`SECRETS_VERSION`). */
  readonly known?: StatCache
  readonly signal?: AbortSignal | undefined
}

/**
 * Files that hold secrets, by their names and by what stands in them; those in `allow` (paths or patterns) are passed over.
 * Finds what is common, not everything: of a file the first MiB is looked at, as keys lie in small files, or at the top.
 * A file that cannot be read is left to whoever hashes it.
 */
export async function findSecrets(
  files: readonly TreeFile[],
  allow: readonly string[],
  { known, signal }: SecretsOptions = {},
): Promise<AuthorFault[]> {
  const allowed = compilePatterns(allow, true)
  const suspects = files.filter(file => !known?.isMarked(file) && !allowed(file.path))
  const found: AuthorFault[] = []
  const unread: TreeFile[] = []
  for (const file of suspects) {
    const named = SECRET_NAMES.filter(({ name }) => name.test(file.path))
    const byName = named.find(({ line }) => line === undefined)
    if (byName) found.push(fault(file, `looks like ${byName.what}, by its name`))
    else if (named.length > 0) found.push(...scan(file))
    else unread.push(file)
  }
  const paths = unread.map(file => file.absolute)
  for (const i of await searchHeads(paths, ANY_TOKEN, signal)) found.push(...scan(unread[i]!))
  const faulty = new Set(found.map(({ file }) => file))
  for (const file of suspects) if (!faulty.has(file.path)) known?.note(file, { marked: true })
  return found.sort((a, b) => (a.file! < b.file! ? -1 : a.file! > b.file! ? 1 : 0))
}

function scan(file: TreeFile): AuthorFault[] {
  const text = readTextHead(file.absolute)
  if (text === null) return []
  const named = SECRET_NAMES.filter(({ name }) => name.test(file.path))
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
