import { z } from 'zod'

/** The format number written now; design.md §4: 0 until the archive and image formats are final. */
export const FORMAT = 0

export const blake3Hex = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits')
export const contentHash = z
  .string()
  .regex(/^blake3:[0-9a-f]{64}$/, 'expected blake3: and 64 hex digits')
export const sha256Digest = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'expected sha256: and 64 hex digits')
export const bundleKey = z
  .string()
  .regex(/^[ybndrfg8ejkmcpqxot1uwisza345h769]{52}$/, 'expected 52 characters of z-base-32')
export const tag = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9._-]{0,63}$/,
    'a tag begins with a letter and has at most 64 letters, digits, ".", "_", "-"',
  )
export const identifier = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'expected at most 64 letters, digits, ".", "_", "-", beginning with a letter or digit',
  )
export const isoDate = z.iso.datetime()
export const byteCount = z.int().min(0)
