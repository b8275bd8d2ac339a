import type { Manifest } from '../../schemas/index.ts'
import { isCanonicalJson } from '../core/canonical-json.ts'
import { fail } from '../core/errors.ts'
import { checkedManifest } from '../core/manifest-faults.ts'
import { blake3 } from '../system/blake3.ts'
import { assertFormat } from './release-record.ts'

/**
 * The manifest of a release from its bytes. Throws HASH_MISMATCH when they are not those of `contentHash`,
 * RECORD_INVALID, FORMAT_UNSUPPORTED.
 */
export function parseManifest(bytes: Uint8Array, contentHash: string): Manifest {
  const found = `blake3:${blake3(bytes)}`
  if (found !== contentHash)
    fail('HASH_MISMATCH', `the manifest has the hash ${found}, the release says ${contentHash}`, {
      hints: ['the copy is damaged or dishonest: nothing of it was used'],
      data: { expected: contentHash, found },
    })
  const text = Buffer.from(bytes).toString('utf8')
  if (!isCanonicalJson(text)) fail('RECORD_INVALID', 'the manifest is no canonical JSON')
  const value = JSON.parse(text) as unknown
  assertFormat(value, 'the manifest')
  return checkedManifest(value, 'the manifest of the release')
}
