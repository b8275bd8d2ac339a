import fc from 'fast-check'
import Hypercore from 'hypercore'
import { expect, test } from 'vitest'
import { encodeCoreManifest, keyOfCoreManifest, signerOf } from '../../src/archive/core-manifest.ts'
import { checkRecord, signRecord } from '../../src/archive/release-record.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { formatKey } from '../../src/core/reference.ts'
import { signingKeyFromSeed } from '../../src/system/signing.ts'
import { codeOf } from './helpers.ts'

const key = signingKeyFromSeed(Buffer.alloc(32, 1))
const coreManifest = encodeCoreManifest(key.publicKey)
const fields = async () => ({
  format: 0 as const,
  key: formatKey(await keyOfCoreManifest(coreManifest)),
  release: 1,
  date: '2026-01-01T00:00:00.000Z',
  driveVersion: 7,
  contentHash: `blake3:${'ab'.repeat(32)}`,
  files: 1,
  bytes: 2,
  coreManifest,
})

test('the key of a core manifest is the one Hypercore computes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 32, maxLength: 32 }), async bytes => {
      const publicKey = Buffer.from(bytes)
      const encoded = encodeCoreManifest(publicKey.toString('hex'))
      const theirs = Hypercore.key({ version: 1, signers: [{ publicKey }] })
      expect((await keyOfCoreManifest(encoded)).equals(theirs)).toBe(true)
      expect(signerOf(encoded)).toBe(publicKey.toString('hex'))
    }),
    { numRuns: 50 },
  )
})

test('core manifests with several signers, a quorum, a prologue or another version are refused', async () => {
  const at = (index: number, byte: string) =>
    coreManifest.slice(0, 2 * index) + byte + coreManifest.slice(2 * index + 2)
  for (const bad of [
    at(0, '00'),
    at(0, '02'),
    at(1, '01'),
    at(1, '02'),
    at(2, '01'),
    at(3, '02'),
    at(4, '02'),
    at(5, '01'),
    `${coreManifest}00`,
    coreManifest.slice(0, -2),
  ])
    expect(await codeOf(Promise.resolve().then(() => signerOf(bad)))).toBe('FORMAT_UNSUPPORTED')
})

test('a record is valid only as it was signed, for the key it names', async () => {
  const { text, record } = signRecord(await fields(), key)
  expect(await checkRecord(text, { key: record.key, release: 1 })).toEqual(record)
  const check = (changed: object, expected = {}) =>
    codeOf(checkRecord(canonicalJson(changed), expected))
  expect(await check({ ...record, bytes: 3 })).toBe('SIGNATURE_INVALID')
  expect(await check({ ...record, tag: 'v1' })).toBe('SIGNATURE_INVALID')
  const stranger = signingKeyFromSeed(Buffer.alloc(32, 2))
  expect(await check({ ...record, coreManifest: encodeCoreManifest(stranger.publicKey) })).toBe(
    'SIGNATURE_INVALID',
  )
  expect(await check(signRecord(await fields(), stranger).record)).toBe('SIGNATURE_INVALID')
  expect(await check(record, { release: 2 })).toBe('RECORD_INVALID')
  expect(await check(record, { key: 'y'.repeat(52) })).toBe('RECORD_INVALID')
  expect(await check({ ...record, unknown: 1 })).toBe('RECORD_INVALID')
  expect(await check({ ...record, format: 1 })).toBe('FORMAT_UNSUPPORTED')
  expect(await codeOf(checkRecord(` ${text}`))).toBe('RECORD_INVALID')
  expect(await codeOf(checkRecord(`{"x":"${'x'.repeat(70_000)}"}`))).toBe('RECORD_INVALID')
})
