import { fail } from '../core/errors.ts'
import { blake2b256 } from '../system/blake2b.ts'

/**
 * The key proof without Hypercore (docs/format/release.md): the key of a bundle is the BLAKE2b-256 of
 * Hypercore's manifest of its core, and the manifest names the Ed25519 key that signs its releases.
 * Only what this release of the format writes is accepted: manifest version 1, no flags, BLAKE2b,
 * quorum 1, one Ed25519 signer.
 */

/** BLAKE2b-256(BLAKE2b-256("hypercore") ‖ 0x03): the fourth namespace of Hypercore, that of manifests. */
const MANIFEST_NAMESPACE = 'e64b7108eacce47cfc61ac850568f55f8b15b82ec5ed78c4ec597b036e2a1498'
/** BLAKE2b-256(BLAKE2b-256("hypercore") ‖ 0x04): the namespace of a signer where none is chosen. */
const DEFAULT_NAMESPACE = '4144eea531e483d54e0c14f4ca68e0644f355343ff6fcb0f005200e12cd747cb'
const ENCODED_BYTES = 70

/** The manifest of a core that one Ed25519 key (hex) signs, in Hypercore's own encoding, hex. */
export function encodeCoreManifest(publicKey: string): string {
  return `010000010100${DEFAULT_NAMESPACE}${publicKey}`
}

/** The Ed25519 public key (hex) that a core manifest (hex) names. Throws FORMAT_UNSUPPORTED. */
export function signerOf(coreManifest: string): string {
  const bytes = Buffer.from(coreManifest, 'hex')
  const [version, flags, hash, quorum, signers, signature] = bytes
  if (version !== 1) unsupported(`it has version ${version}, expected 1`)
  if (flags !== 0) unsupported('it has a prologue, patches, links or user data')
  if (hash !== 0) unsupported(`it uses the hash ${hash}, expected BLAKE2b`)
  if (quorum !== 1 || signers !== 1)
    unsupported(`it wants ${quorum} of ${signers} signers, expected 1 of 1`)
  if (signature !== 0) unsupported(`it uses the signature ${signature}, expected Ed25519`)
  if (bytes.length !== ENCODED_BYTES)
    unsupported(`it has ${bytes.length} bytes, expected ${ENCODED_BYTES}`)
  return bytes.subarray(ENCODED_BYTES - 32).toString('hex')
}

/** The bundle key (32 bytes) that a core manifest (hex) proves. */
export async function keyOfCoreManifest(coreManifest: string): Promise<Buffer> {
  const bytes = Buffer.from(MANIFEST_NAMESPACE + coreManifest, 'hex')
  return await blake2b256(bytes)
}

function unsupported(what: string): never {
  fail('FORMAT_UNSUPPORTED', `the core manifest of the bundle is not supported: ${what}`, {
    hints: ['use a newer version of repro'],
  })
}
