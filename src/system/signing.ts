import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'

/** Ed25519 (RFC 8032) with raw keys, by Node's own crypto. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

export interface SigningKey {
  /** 32 bytes, hex. */
  readonly publicKey: string
  /** 64 bytes, hex. */
  sign(message: Uint8Array | string): string
}

/** A key pair from a seed of 32 bytes. */
export function signingKeyFromSeed(seed: Uint8Array): SigningKey {
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, seed]),
    format: 'der',
    type: 'pkcs8',
  })
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return {
    publicKey: spki.subarray(SPKI_PREFIX.length).toString('hex'),
    sign: message => sign(null, bytesOf(message), key).toString('hex'),
  }
}

/** False for a wrong signature and for anything that is no key or signature. */
export function verifySignature(
  publicKey: string,
  message: Uint8Array | string,
  signature: string,
): boolean {
  try {
    const key = createPublicKey({
      key: Buffer.concat([SPKI_PREFIX, Buffer.from(publicKey, 'hex')]),
      format: 'der',
      type: 'spki',
    })
    return verify(null, bytesOf(message), key, Buffer.from(signature, 'hex'))
  } catch {
    return false
  }
}

const bytesOf = (message: Uint8Array | string) =>
  typeof message === 'string' ? Buffer.from(message) : message
