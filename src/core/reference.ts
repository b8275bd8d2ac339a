import { type Digest, isDigest } from './digest.ts'
import { fail } from './errors.ts'
import { decodeZ32, encodeZ32 } from './z32.ts'

/** What a person may type where a bundle is wanted; see docs/format/README.md for the grammar. */
export type Reference =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string }
  | KeyReference
  | ({ readonly kind: 'name'; readonly name: string } & Selection)

export type KeyReference = { readonly kind: 'key'; readonly key: string } & Selection

/** Which release, and what must hold of it. */
export interface Selection {
  /** A release number or a tag; the newest release when absent. */
  readonly release?: number | string
  /** The content hash the release must have. */
  readonly hash?: Digest
  readonly app?: string
  /** z-base-32 of the encryption secret of a private bundle. */
  readonly secret?: string
}

/** What a release may be tagged. */
export const TAG = /^[A-Za-z][A-Za-z0-9._-]{0,63}$/
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const KEY_LENGTH = 52

export function isKey(text: string): boolean {
  return text.length === KEY_LENGTH && decodeZ32(text)?.length === 32
}

export function formatKey(bytes: Uint8Array): string {
  return encodeZ32(bytes)
}

/** The 32 bytes of a key. Throws REFERENCE_INVALID. */
export function parseKey(text: string): Uint8Array {
  const bytes = decodeZ32(text)
  if (bytes?.length !== 32)
    fail('REFERENCE_INVALID', `"${text}" is no bundle key: expected 52 characters of z-base-32`)
  return bytes
}

/** Parses what a person typed. Order: folder, file, link, key, name (design.md §1). Throws REFERENCE_INVALID. */
export function parseReference(text: string): Reference {
  if (text === '.' || text === '..' || /^(\/|\.\/|\.\.\/)/.test(text)) {
    return { kind: text.endsWith('.repro') ? 'file' : 'folder', path: text }
  }
  if (text.startsWith('repro://')) return parseLink(text)
  if (text.endsWith('.repro')) return { kind: 'file', path: text }
  const at = text.indexOf('@')
  const target = at < 0 ? text : text.slice(0, at)
  const selection = at < 0 ? {} : { release: parseRelease(text.slice(at + 1), text) }
  if (isKey(target)) return { kind: 'key', key: target, ...selection }
  if (NAME.test(target)) return { kind: 'name', name: target, ...selection }
  return fail('REFERENCE_INVALID', `"${text}" is no reference`, {
    hints: [
      'expected a key of 52 characters, <key>@<release or tag>, a repro:// link, a folder (./name), a .repro file, or a local name',
    ],
  })
}

export function formatReference(ref: Reference): string {
  if (ref.kind === 'folder' || ref.kind === 'file') return ref.path
  const base = ref.kind === 'key' ? ref.key : ref.name
  const needsLink = ref.hash !== undefined || ref.app !== undefined || ref.secret !== undefined
  if (!needsLink || ref.kind === 'name')
    return ref.release === undefined ? base : `${base}@${ref.release}`
  const path = ref.release === undefined ? '' : `/${ref.release}`
  const query = ref.hash === undefined ? '' : `?hash=${ref.hash}`
  const fragment = [
    ref.app === undefined ? null : `app=${encodeURIComponent(ref.app)}`,
    ref.secret === undefined ? null : `secret=${ref.secret}`,
  ].filter(part => part !== null)
  return `repro://${base}${path}${query}${fragment.length ? `#${fragment.join('&')}` : ''}`
}

function parseRelease(text: string, whole: string): number | string {
  if (/^[1-9][0-9]{0,14}$/.test(text)) return Number(text)
  if (TAG.test(text)) return text
  return fail(
    'REFERENCE_INVALID',
    `"${text}" in "${whole}" is neither a release number nor a tag`,
    {
      hints: ['releases are 1, 2, 3 …; a tag begins with a letter'],
    },
  )
}

function parseLink(text: string): KeyReference {
  const match = /^repro:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?(?:#(.*))?$/s.exec(text)
  if (!match) fail('REFERENCE_INVALID', `"${text}" is no repro:// link`)
  const [, key = '', release = '', query = '', fragment = ''] = match
  if (!isKey(key))
    fail(
      'REFERENCE_INVALID',
      `the link "${text}" has no valid key: expected 52 characters of z-base-32`,
    )
  const selection: { -readonly [K in keyof Selection]: Selection[K] } = {}
  if (release !== '') selection.release = parseRelease(decode(release, text), text)
  for (const [name, value] of pairs(query, text)) {
    if (name !== 'hash') fail('REFERENCE_INVALID', `unknown field "${name}" in the link "${text}"`)
    if (!isDigest(value) || !value.startsWith('blake3:'))
      fail(
        'REFERENCE_INVALID',
        `"${value}" in the link is no content hash: expected blake3: and 64 hex digits`,
      )
    selection.hash = value
  }
  for (const [name, value] of pairs(fragment, text)) {
    if (name === 'app' && value !== '') selection.app = value
    else if (name === 'secret' && decodeZ32(value)?.length === 32) selection.secret = value
    else fail('REFERENCE_INVALID', `bad field "${name}" in the link "${text}"`)
  }
  return { kind: 'key', key, ...selection }
}

function pairs(text: string, whole: string): [string, string][] {
  if (text === '') return []
  return text.split('&').map(pair => {
    const eq = pair.indexOf('=')
    return eq < 0
      ? [decode(pair, whole), '']
      : [decode(pair.slice(0, eq), whole), decode(pair.slice(eq + 1), whole)]
  })
}

function decode(text: string, whole: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return fail('REFERENCE_INVALID', `"${whole}" has a broken % escape`)
  }
}
