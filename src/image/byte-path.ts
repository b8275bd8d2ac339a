import type { PathLike } from 'node:fs'

/**
 * Names in images are bytes, not text. Inside this room they are strings with one character per byte (latin1),
 * which split and compare like the bytes do; for names of plain ASCII, nearly all, that is the text itself.
 */
export function toBytePath(text: string): string {
  return isAscii(text) ? text : Buffer.from(text).toString('latin1')
}

/** For people: the UTF-8 text of a byte string. */
export function showBytePath(bytes: string): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8')
}

/** The path of `bytes` below `root` (text), as `fs` takes it. */
export function diskPath(root: string, bytes: string): PathLike {
  if (isAscii(bytes)) return bytes === '' ? root : `${root}/${bytes}`
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(bytes, 'latin1')])
}

/** A link target as `fs.symlink` takes it. */
export function diskTarget(bytes: string): string | Buffer {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1')
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false
  return true
}
