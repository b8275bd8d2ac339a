import { fail } from '../../core/errors.ts'

export const BLOCK_BYTES = 512

/** One 512-byte header as it stands, names as byte strings. */
export interface TarHeader {
  readonly name: string
  readonly linkName: string
  readonly type: string
  readonly mode: number
  readonly size: number
  readonly mtime: number
}

/** Decodes a header block, or returns null for a block of zeros. Throws IMAGE_INVALID. */
export function decodeHeader(block: Buffer, position: number): TarHeader | null {
  if (isZero(block)) return null
  const at = `at byte ${position}`
  checkSum(block, at)
  const magic = block.toString('latin1', 257, 265)
  const posix = magic.startsWith('ustar\0')
  const prefix = posix ? text(block, 345, 155) : ''
  const name = text(block, 0, 100)
  const size = number(block, 124, 12)
  if (size === null || size < 0 || !Number.isSafeInteger(size))
    fail('IMAGE_INVALID', `the tar entry "${name}" ${at} has no valid size`)
  return {
    name: prefix ? `${prefix}/${name}` : name,
    linkName: text(block, 157, 100),
    type: block[156] === 0 ? '0' : String.fromCharCode(block[156]!),
    mode: (number(block, 100, 8) ?? 0) & 0o7777,
    size,
    mtime: Math.max(0, number(block, 136, 12) ?? 0),
  }
}

function isZero(block: Buffer): boolean {
  return block[0] === 0 && block.every(byte => byte === 0)
}

function checkSum(block: Buffer, at: string): void {
  const stated = number(block, 148, 8)
  let unsigned = 8 * 32
  let signed = 8 * 32
  for (let i = 0; i < BLOCK_BYTES; i++) {
    if (i >= 148 && i < 156) continue
    const byte = block[i]!
    unsigned += byte
    signed += byte > 127 ? byte - 256 : byte
  }
  if (stated !== unsigned && stated !== signed)
    fail('IMAGE_INVALID', `no valid tar header ${at}: its checksum is wrong`)
}

function text(block: Buffer, start: number, length: number): string {
  const end = block.indexOf(0, start)
  return block.toString('latin1', start, end < 0 || end > start + length ? start + length : end)
}

/** Octal digits, or base 256 when the top bit is set (GNU); null when it is neither. */
function number(block: Buffer, start: number, length: number): number | null {
  if (block[start]! & 0x80) {
    let value = block[start]! & 0x40 ? -1 : block[start]! & 0x3f
    for (let i = start + 1; i < start + length; i++) value = value * 256 + block[i]!
    return value
  }
  const digits = text(block, start, length).trim()
  if (digits === '') return 0
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : null
}

/** The records of a PAX extended header, values as byte strings. Throws IMAGE_INVALID. */
export function decodePax(body: Buffer): Map<string, string> {
  const records = new Map<string, string>()
  let at = 0
  while (at < body.length && body[at] !== 0) {
    const space = body.indexOf(0x20, at)
    const digits = space < 0 ? '' : body.toString('latin1', at, space)
    const length = /^[1-9][0-9]{0,7}$/.test(digits) ? Number(digits) : 0
    const end = at + length
    if (length === 0 || end <= space || end > body.length || body[end - 1] !== 0x0a)
      fail('IMAGE_INVALID', 'a PAX header of the tar is broken')
    const record = body.toString('latin1', space + 1, end - 1)
    const equals = record.indexOf('=')
    if (equals < 1) fail('IMAGE_INVALID', 'a PAX header of the tar has a record without a key')
    records.set(record.slice(0, equals), record.slice(equals + 1))
    at = end
  }
  return records
}
