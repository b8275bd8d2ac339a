import { access } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { fail } from '../../core/errors.ts'
import { runCommand } from '../../system/process.ts'
import { assertSystemLoader } from './trusted-programs.ts'

export interface Library {
  readonly name: string
  readonly path: string
  /** True when the loader finds it only by its cache or configuration, which an image does not have. */
  readonly byCacheOnly: boolean
}

/**
 * Loads as the image will: without the host's cache of libraries, and without variants for this very processor.
 * Loaders that do not know an option are asked again with fewer.
 */
const WAYS: readonly (readonly string[])[] = [
  ['--inhibit-cache', '--glibc-hwcaps-mask', 'none'],
  ['--inhibit-cache'],
  [],
]
const TIMEOUT_MS = 20_000

/**
 * The libraries that `loader` would load for `file` (a program or a library). The loader is executed, so it must be one
 * of the system's. Throws IMAGE_SOURCE when it is none, and when a library is missing.
 */
export async function listLibraries(
  loader: string,
  file: string,
  signal?: AbortSignal,
): Promise<Library[]> {
  await assertSystemLoader(loader, file)
  const libraries = new Map<string, Library>()
  const missing = new Set<string>()
  for (const options of WAYS) {
    const listed = await list(loader, options, file, signal)
    if (!listed) continue
    const byCacheOnly = options.length === 0
    for (const { name, path } of listed) {
      if (path === null) missing.add(name)
      else if (!libraries.has(name)) libraries.set(name, { name, path, byCacheOnly })
    }
    for (const name of libraries.keys()) missing.delete(name)
    if (missing.size === 0) return [...libraries.values()]
  }
  if (missing.size === 0 && libraries.size === 0) return []
  return fail(
    'IMAGE_SOURCE',
    `"${file}" needs the library "${[...missing][0]}", which the dynamic loader does not find`,
    {
      hints: [
        `ldd ${file}`,
        'a library that is found only by LD_LIBRARY_PATH cannot be captured: make an image with podman instead',
      ],
    },
  )
}

async function list(
  loader: string,
  options: readonly string[],
  file: string,
  signal: AbortSignal | undefined,
): Promise<{ name: string; path: string | null }[] | null> {
  const result = await runCommand([loader, ...options, '--list', file], {
    env: {},
    cwd: '/',
    timeoutMs: TIMEOUT_MS,
    ...(signal ? { signal } : {}),
  })
  signal?.throwIfAborted()
  if (result.code !== 0) return null
  return result.stdout.split('\n').flatMap((line): { name: string; path: string | null }[] => {
    const lost = /^\s*(\S.*?) => not found/.exec(line)
    if (lost) return [{ name: lost[1]!, path: null }]
    const found = /^\s*(\S.*?) => (\/.*?) \(0x[0-9a-f]+\)$/.exec(line)
    if (found) return [{ name: found[1]!, path: found[2]! }]
    const plain = /^\s*(\/.*?) \(0x[0-9a-f]+\)$/.exec(line)
    return plain ? [{ name: plain[1]!, path: plain[1]! }] : []
  })
}

/** Libraries that glibc opens by itself while a program runs, where they lie beside it. */
const OPENED_LATER = ['libgcc_s.so.1', 'libnss_files.so.2']

export async function openedLater(libraries: readonly Library[]): Promise<string[]> {
  const libc = libraries.find(library => library.name === 'libc.so.6')
  if (!libc) return []
  const found: string[] = []
  for (const name of OPENED_LATER) {
    const path = `${dirname(libc.path)}/${name}`
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      found.push(path)
  }
  return found
}

/** Where a library must be linked so that a loader without cache finds it: beside libc. Null when it needs none. */
export function linkFor(library: Library, all: readonly Library[]): string | null {
  if (!library.byCacheOnly) return null
  const libc = all.find(({ name }) => /^libc\.(so|musl)/.test(name))
  return libc ? `${dirname(libc.path)}/${basename(library.name)}` : null
}
