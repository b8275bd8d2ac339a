import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto'
import type { KnownHistory } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import { isKey } from '../core/reference.ts'
import { blake3 } from '../system/blake3.ts'
import { keyOfSecret } from './own-bundles.ts'

/** What lets its holder write to a bundle. */
export interface BundleSecret {
  readonly key: string
  /** 32 bytes, of which the key pair is made. */
  readonly secret: Buffer
  /** How far the history went when the key was saved; null when the file does not say. */
  readonly known: KnownHistory | null
}

const TITLE = 'repro-key-v1'
/** RFC 7914 with N = 2^17, r = 8, p = 1: 128 MiB and about half a second for each guess. */
const SCRYPT = { N: 1 << 17, r: 8, p: 1, maxmem: 256 << 20 }
const MAX_BYTES = 10_000

/**
 * The text of a key file (docs/format/key-file.md): a warning for people, the key, its secret (with a passphrase:
 * AES-256-GCM under a key by scrypt), how far its history goes, and a checksum over all.
 */
export function formatKeyFile(
  { key, secret, known }: BundleSecret,
  passphrase: string | null,
): string {
  const history = known && `history: ${known.release} ${known.tree} ${known.bytes}`
  const lines = [
    `key: ${key}`,
    ...(history === null ? [] : [history]),
    passphrase === null
      ? `secret: ${secret.toString('hex')}`
      : `sealed: ${seal(aboutOf(key, history), secret, passphrase).toString('hex')}`,
  ]
  return [
    ...WARNING.map(line => `# ${line}`.trimEnd()),
    TITLE,
    ...lines,
    `checksum: ${checksum(lines)}`,
    '',
  ].join('\n')
}

const WARNING = [
  'This file is the right to publish under the key below. Keep it secret, keep it safe, and never send it with the data.',
  '',
  'Restore it with: repro key import <this file>',
  'A restored key first fetches the whole history of its bundle from peers, and only then writes.',
  'Never write from two homes at once, and never copy a store to write from both copies: two histories under one key',
  'are a fork, every reader refuses the bundle from then on, and the key is worthless.',
]

/** True when a key file can be read only with its passphrase. Throws KEY_INVALID. */
export function isSealedKeyFile(text: string): boolean {
  return parse(text).sealed
}

/** The key and secret of a key file, proven to belong together. Throws KEY_INVALID. */
export async function parseKeyFile(text: string, passphrase: string | null): Promise<BundleSecret> {
  const { key, known, about, sealed, bytes } = parse(text)
  if (sealed && passphrase === null)
    fail('KEY_INVALID', 'the key file is sealed with a passphrase, and none was given', {
      hints: ['type it when asked at a terminal, or give it with --passphrase-file'],
    })
  const secret = sealed ? open(about, bytes, passphrase!) : bytes
  if (secret.length !== 32 || (await keyOfSecret(secret)) !== key)
    fail('KEY_INVALID', `the secret in the key file is not that of "${key}"`, { hints: OTHER_COPY })
  return { key, secret, known }
}

interface KeyFile {
  readonly key: string
  readonly known: KnownHistory | null
  /** What a sealed secret is bound to. */
  readonly about: string
  readonly sealed: boolean
  readonly bytes: Buffer
}

function parse(text: string): KeyFile {
  if (text.length > MAX_BYTES) fail('KEY_INVALID', 'this is no key file: it is too large')
  const lines = text
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'))
  const [title, first = '', ...rest] = lines
  const history = rest[0]?.startsWith('history: ') ? rest[0] : null
  const [second = '', sum = '', ...more] = history === null ? rest : rest.slice(1)
  if (title !== TITLE)
    fail('KEY_INVALID', `this is no key file: the line "${TITLE}" is missing`, {
      hints: ['give the file that repro key export wrote'],
    })
  const key = /^key: (\S+)$/.exec(first)?.[1]
  const [, kind, hex] = /^(secret|sealed): ([0-9a-f]+)$/.exec(second) ?? []
  const known = history === null ? null : knownOf(history)
  if (key === undefined || !isKey(key) || !hex || known === undefined || more.length > 0)
    fail('KEY_INVALID', 'the key file is damaged: a line is missing or changed', {
      hints: OTHER_COPY,
    })
  if (sum !== `checksum: ${checksum(lines.slice(1, -1))}`)
    fail('KEY_INVALID', 'the key file is damaged: its checksum is not that of its lines', {
      hints: OTHER_COPY,
    })
  const about = aboutOf(key, history)
  return { key, known, about, sealed: kind === 'sealed', bytes: Buffer.from(hex, 'hex') }
}

/** Undefined for a line that is none of ours. */
function knownOf(line: string): KnownHistory | undefined {
  const [, release, tree, bytes] = /^history: (\d{1,15}) (\d{1,15}) (\d{1,15})$/.exec(line) ?? []
  if (bytes === undefined) return undefined
  return { release: Number(release), tree: Number(tree), bytes: Number(bytes) }
}

const aboutOf = (key: string, history: string | null) =>
  history === null ? key : `${key}\n${history}`

const OTHER_COPY = ['use another copy of the file']

/** A mistyped or damaged file is told from a wrong passphrase. */
function checksum(lines: readonly string[]): string {
  return blake3([TITLE, ...lines, ''].join('\n')).slice(0, 16)
}

const SALT = 16
const NONCE = 12
const TAG = 16

/** Salt, nonce, encrypted secret, tag. `about` is authenticated with it. */
function seal(about: string, secret: Buffer, passphrase: string): Buffer {
  const [salt, nonce] = [randomBytes(SALT), randomBytes(NONCE)]
  const cipher = createCipheriv('aes-256-gcm', stretch(passphrase, salt), nonce)
  cipher.setAAD(Buffer.from(about))
  const body = Buffer.concat([cipher.update(secret), cipher.final()])
  return Buffer.concat([salt, nonce, body, cipher.getAuthTag()])
}

function open(about: string, sealed: Buffer, passphrase: string): Buffer {
  if (sealed.length !== SALT + NONCE + 32 + TAG)
    fail('KEY_INVALID', 'the key file is damaged: its sealed part has another length')
  const nonce = sealed.subarray(SALT, SALT + NONCE)
  const cipher = createDecipheriv(
    'aes-256-gcm',
    stretch(passphrase, sealed.subarray(0, SALT)),
    nonce,
  )
  cipher.setAAD(Buffer.from(about))
  cipher.setAuthTag(sealed.subarray(-TAG))
  try {
    return Buffer.concat([cipher.update(sealed.subarray(SALT + NONCE, -TAG)), cipher.final()])
  } catch (cause) {
    return fail('KEY_INVALID', 'the passphrase is not the one the key file was sealed with', {
      cause,
    })
  }
}

function stretch(passphrase: string, salt: Buffer): Buffer {
  return scryptSync(passphrase.normalize('NFC'), salt, 32, SCRYPT)
}
