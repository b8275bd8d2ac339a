import { fail } from './errors.ts'

/** The folder of a bundle that belongs to repro; authors may not use it. */
export const RESERVED = '.repro'
const MAX_PATH_BYTES = 4096
const MAX_NAME_BYTES = 255
/** Most paths are of this kind, and need no closer look when they are short. */
const PLAIN = /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/

/**
 * Why `path` may not be a path of a bundle, or null when it may.
 * A bundle path is relative, `/`-separated, NFC-agnostic UTF-8, without `.`/`..`/empty parts,
 * control characters, backslashes, lone surrogates, over-long names.
 */
export function pathFault(path: string): string | null {
  if (path === '') return 'is empty'
  if (path.length <= MAX_NAME_BYTES && PLAIN.test(path)) return null
  if (!path.isWellFormed() || path.includes('\ufffd')) return 'is not valid UTF-8'
  if (/[\u0000-\u001f\u007f-\u009f]/.test(path)) return 'contains a control character'
  if (/[\u202a-\u202e\u2066-\u2069\u200e\u200f\u2028\u2029]/.test(path))
    return 'contains an invisible direction or line character'
  if (path.includes('\\')) return 'contains a backslash'
  if (path.startsWith('/')) return 'is absolute'
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return `is longer than ${MAX_PATH_BYTES} bytes`
  for (const part of path.split('/')) {
    if (part === '') return 'has an empty part'
    if (part === '.' || part === '..') return `has a "${part}" part`
    if (Buffer.byteLength(part) > MAX_NAME_BYTES)
      return `has a name longer than ${MAX_NAME_BYTES} bytes`
  }
  return null
}

/** Throws PATH_UNSAFE unless `path` may be a path of a bundle. */
export function assertArchivePath(path: string): void {
  const fault = pathFault(path)
  if (fault)
    fail('PATH_UNSAFE', `the path ${JSON.stringify(path)} ${fault}`, {
      hints: ['rename the file'],
      data: { path },
    })
}

/** True for `.repro` and everything below it, whatever the case or Unicode form. */
export function isReserved(path: string): boolean {
  const first = path.split('/', 1)[0]!
  const plain = /^[\u0020-\u007e]*$/.test(first) ? first : first.normalize('NFKC')
  return plain.toLowerCase() === RESERVED
}

/**
 * Why the symbolic link at `path` with `target` may not be in a bundle, or null when it may:
 * the target is relative and stays inside the bundle.
 */
export function linkFault(path: string, target: string): string | null {
  if (target === '') return 'has an empty target'
  if (target.startsWith('/')) return 'points to an absolute path'
  if (
    /[\u0000-\u001f\u007f-\u009f\\]/.test(target) ||
    !target.isWellFormed() ||
    target.includes('\ufffd')
  )
    return 'has a control character, a backslash or bad UTF-8 in its target'
  if (Buffer.byteLength(target) > MAX_PATH_BYTES) return 'has an over-long target'
  let depth = path.split('/').length - 1
  for (const part of target.split('/')) {
    if (part === '..') depth--
    else if (part !== '' && part !== '.') depth++
    if (depth < 0) return 'points outside the bundle'
  }
  return null
}

/** Order of the content index: by the bytes of the UTF-8 form. */
export function comparePaths(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (x !== y) return utf8Rank(x) - utf8Rank(y)
  }
  return a.length - b.length
}

/** Halves of surrogate pairs stand for what comes after all single code units, also after those above them. */
function utf8Rank(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}

/** Form under which two paths are twins on a file system that ignores case or Unicode form. */
export function twinKey(path: string): string {
  if (/^[\0-\x7f]*$/.test(path)) return path.toLowerCase()
  return path.normalize('NFC').toLowerCase().normalize('NFC')
}
