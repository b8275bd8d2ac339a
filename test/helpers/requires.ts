import { spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** What a test may need of the machine beside Node: a program in PATH, or one of these words. */
export type Need =
  | 'root'
  | 'debian'
  | 'user namespaces'
  | 'network namespaces'
  | `program ${string}`

/** Why this machine cannot run a test with these needs, or null when it can. */
export function missing(...needs: readonly Need[]): string | null {
  const reasons = needs.map(reasonAgainst).filter(reason => reason !== null)
  return reasons.length === 0 ? null : reasons.join(', ')
}

/**
 * Skips the test, with the reason as its note, where the machine lacks something. `npm test` prints every such
 * skip; with `CI=true` it fails on those that test/expected-skips.json does not list.
 */
export function requires(test: { skip(note?: string): never }, ...needs: readonly Need[]): void {
  const reason = missing(...needs)
  if (reason !== null) test.skip(reason)
}

export function findProgram(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.map(folder => join(folder, name)).find(isExecutable) ?? null
}

export const isRoot = process.getuid?.() === 0

function reasonAgainst(need: Need): string | null {
  if (need === 'root') return isRoot ? null : 'needs root'
  if (need === 'debian') return isDebian() ? null : 'needs Debian'
  if (need === 'user namespaces')
    return starts('unshare', '--user', '--map-root-user', '--', 'true')
      ? null
      : 'this kernel refuses user namespaces'
  if (need === 'network namespaces')
    return starts('unshare', '--user', '--map-root-user', '--net', '--', 'true')
      ? null
      : 'this kernel refuses network namespaces'
  const program = need.slice('program '.length)
  return findProgram(program) ? null : `needs the program ${program}`
}

function isDebian(): boolean {
  try {
    return /^ID(_LIKE)?=.*debian/m.test(readFileSync('/etc/os-release', 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

function starts(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
