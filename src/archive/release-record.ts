import { FORMAT, type ReleaseRecord, releaseRecord } from '../../schemas/index.ts'
import { canonicalJson, isCanonicalJson } from '../core/canonical-json.ts'
import { fail, ReproError } from '../core/errors.ts'
import { formatKey } from '../core/reference.ts'
import { type SigningKey, verifySignature } from '../system/signing.ts'
import { keyOfCoreManifest, signerOf } from './core-manifest.ts'
import { MAX_RECORD_BYTES } from './limits.ts'

const DOMAIN = 'repro-release-v1\n'

/** What the signature of a release record is over. */
export function signedText(record: Omit<ReleaseRecord, 'signature'>): string {
  const { signature: _, ...rest } = record as ReleaseRecord
  return DOMAIN + canonicalJson(rest)
}

/** Signs a record and gives its canonical text. */
export function signRecord(
  fields: Omit<ReleaseRecord, 'signature'>,
  key: SigningKey,
): { record: ReleaseRecord; text: string } {
  const record = releaseRecord.parse({ ...fields, signature: key.sign(signedText(fields)) })
  return { record, text: canonicalJson(record) }
}

/**
 * Parses and checks a release record with no Hypercore at hand: its form, that its core manifest is that of the
 * key, and its signature. Throws RECORD_INVALID, FORMAT_UNSUPPORTED, SIGNATURE_INVALID.
 */
export async function checkRecord(
  text: string,
  expected: { readonly key?: string; readonly release?: number } = {},
): Promise<ReleaseRecord> {
  const record = parseRecord(text)
  const name = `release ${record.release}`
  if (expected.release !== undefined && record.release !== expected.release)
    invalid(`it says it is ${name}, expected release ${expected.release}`)
  if (expected.key !== undefined && record.key !== expected.key)
    invalid(`${name} belongs to the key "${record.key}", expected "${expected.key}"`)
  const signer = signerOf(record.coreManifest)
  if (formatKey(await keyOfCoreManifest(record.coreManifest)) !== record.key)
    fail('SIGNATURE_INVALID', `the core manifest in ${name} is not that of "${record.key}"`, {
      hints: ['whoever made this copy does not hold the key of the bundle: do not use it'],
    })
  if (!verifySignature(signer, signedText(record), record.signature))
    fail('SIGNATURE_INVALID', `the signature of ${name} of "${record.key}" is wrong`, {
      hints: ['the record was changed after it was signed: do not use this copy'],
    })
  return record
}

function parseRecord(text: string): ReleaseRecord {
  if (Buffer.byteLength(text) > MAX_RECORD_BYTES)
    invalid(`it is larger than ${MAX_RECORD_BYTES} bytes`)
  if (!isCanonicalJson(text)) invalid('it is no canonical JSON')
  const value = JSON.parse(text) as unknown
  assertFormat(value, 'the release record')
  const parsed = releaseRecord.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new ReproError(
      'RECORD_INVALID',
      `the release record is invalid: ${issue?.path.join('.') || 'it'}: ${issue?.message}`,
      { cause: parsed.error },
    )
  }
  return parsed.data
}

/** Throws FORMAT_UNSUPPORTED when `value` says it has another format than the one written now. */
export function assertFormat(value: unknown, what: string): void {
  const format = (value as { format?: unknown } | null)?.format
  if (typeof format === 'number' && format !== FORMAT)
    fail('FORMAT_UNSUPPORTED', `${what} has format ${format}, expected ${FORMAT}`, {
      hints: [
        format > FORMAT
          ? 'use a newer version of repro'
          : 'ask the author to publish again with this version of repro',
      ],
    })
}

function invalid(what: string): never {
  fail('RECORD_INVALID', `the release record is invalid: ${what}`)
}
